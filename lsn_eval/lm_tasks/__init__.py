"""Python behind the task definitions in `tasks/`: one family a file."""
