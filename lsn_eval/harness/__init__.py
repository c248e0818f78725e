"""`lsn_hf` and the seam by which lm-eval finds it. Imports nothing: the seam has to be cheap."""
