"""Small servers, each as its library's own documentation would have it, to measure Ticker beside."""
