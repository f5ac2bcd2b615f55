"""HTTP: rerankers behind the routes that clients of other rerank servers call.

contracts   what a request and an answer hold: the union of the peers' fields
service     from a request to an answer, without HTTP
work        the queue, and the one thread that runs models
models      served names → rerankers and indexes
app, guard  routes; limits, keys and errors before and around them
run         the process: socket, signals, shutdown
"""
