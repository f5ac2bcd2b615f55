"""Training on a bare GPU machine: what travels there, what runs there, what comes back.

`collect` writes a folder that holds all that is needed, already tokenised: the base with its
embeddings cut to the pieces of the training text, text, sentence pairs, questions. `run` trains on
it under a time limit with nothing but PyTorch, transformers' BERT and NumPy. `unpack` turns what
came back into modules of the zoo.
"""
