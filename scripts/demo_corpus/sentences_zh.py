"""Chinese sentence templates, by kind; a slot in braces is filled with a CLDR fact or value."""

ITEMS = (
    "一本书", "一张票", "一盏灯", "一块面包", "一把伞", "一个水壶", "一条围巾", "一本词典",
    "一双鞋", "一箱苹果",
)  # fmt: skip

TEMPLATES: dict[str, tuple[str, ...]] = {
    "place": (
        "{a_city}是{a}的一座城市。",
        "这篇报道来自{a}的{a_city}。",
        "许多游客从{a_city}开始他们的{a}之旅。",
        "我哥哥在{a}住了很多年，离{a_city}不远。",
    ),
    "pair": (
        "{b}的人们使用的货币叫{b_currency}。",
        "我们的邻居去年从{a}搬到了{b}。",
        "{day}，{a}队将和{b}队比赛。",
        "她的阿姨来自{b}，教过她{b_language}。",
        "大约{percent}的游客来自{b}。",
    ),
    "currency": (
        "{a}的货币叫做{a_currency}。",
        "在{a}买东西要用{a_currency}。",
        "银行用{a_code}这个代码表示{a_currency}。",
    ),
    "language": (
        "{a_language}是{a}的一种官方语言。",
        "{a_city}的大多数招牌是用{a_language}写的。",
        "出发之前，我们学了几句{a_language}。",
    ),
    "week": (
        "在{a}，一周从{a_week_start}开始。",
        "那里每周的第一天是{a_week_start}。",
    ),
    "price": (
        "市场上{item}卖{price}。",
        "她花{price}买了{item}。",
        "以前{item}更便宜，现在要付{price}。",
    ),
    "travel": (
        "从海边到{a_city}的公路长{distance}。",
        "去{b_city}的路上要花{duration}。",
        "我们的飞机{clock}从{a_city}起飞，前往{b_city}。",
    ),
    "weather": (
        "{day}的气温将上升到{temperature}。",
        "今天下雨的可能性是{percent}。",
        "夜里很冷，不过现在温度计显示{temperature}。",
    ),
    "calendar": (
        "{day}之后是{next_day}。",
        "{month}过后就是{next_month}。",
        "如果今天是{day}，那么明天就是{next_day}。",
    ),
    "date": (
        "博物馆于{date}开馆。",
        "这封信写于{date}，那天是{day}。",
        "旧桥在{date}{clock}关闭。",
    ),
    "number": (
        "数字{n}写作{n_words}。",
        "{n_words}加{m_words}等于{sum_words}。",
        "她在花园里数到了{n_words}只鸟。",
    ),
    "measure": (
        "这个包裹重{weight}。",
        "地窖里的木桶能装{volume}。",
        "河上的新桥长{length}。",
    ),
}
