"""The forms of training rows that are read, by name; `rows` reads them."""

AUTO = "auto"  # recognised by the first line
FORMS = ("polyrank", "flagembedding", "tevatron", "margin-tsv", "datasets")
