"""Further random language models, and an engine whose answers a test writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polyrank.collections.records import Document, Query
from polyrank.notes import Notebook
from polyrank.rerankers.base import Request
from polyrank.rerankers.llm.engines.base import Generation, Usage

WORDS = "yes no Yes No true false passage question the water boils at hundred degrees river"


@pytest.fixture(scope="session")
def qwen3(chat_tokenizer, language_model_sizes, save_language_model):
    """Folder of a random Qwen3: as the Llama, with normalised queries and keys."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(**language_model_sizes, head_dim=8)
    return save_language_model(Qwen3ForCausalLM, config, chat_tokenizer)


@pytest.fixture(scope="session")
def t5(save_language_model):
    """Folder of a random T5 with a word-piece tokenizer that ends texts with </s>."""
    import string

    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    pieces = ["<pad>", "</s>", "<unk>", "▁", *(f"▁{word}" for word in WORDS.split())]
    pieces += [*string.ascii_letters, *string.digits, ":", ".", "?"]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(i)) for i, piece in enumerate(pieces)], 2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "$A </s>", special_tokens=[("</s>", 1)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        model_max_length=512,
    )  # fmt: skip
    config = T5Config(
        vocab_size=len(fast), d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
        initializer_factor=1.0, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    return save_language_model(T5ForConditionalGeneration, config, fast)


@pytest.fixture(scope="session", params=["llama", "qwen3", "t5"])
def any_model(request):
    """Each of the three folders in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def engine(llama):
    """The random Llama as an engine."""
    from polyrank.rerankers.llm.engines.local import TransformersEngine

    return TransformersEngine(llama, device="cpu")


class WrittenEngine:
    """An engine whose logits and answers are functions of the prompt's text.

    logits_of(prompt, label) → number; answer_of(prompt) → text, or a Generation.
    `prompts` holds the texts that were asked, `sizes` how many in each call.
    """

    log_probabilities = False
    encoder_decoder = False

    def __init__(self, tokenizer, logits_of=None, answer_of=None, context=4096):
        self.tokenizer, self.context = tokenizer, context
        self.logits_of, self.answer_of = logits_of, answer_of
        self.usage, self.notebook = Usage(), Notebook()
        self.prompts, self.sizes = [], []

    def _read(self, prompts):
        texts = [self.tokenizer.decode(ids) for ids in prompts]
        self.prompts += texts
        self.sizes.append(len(texts))
        self.usage += Usage(len(prompts), sum(map(len, prompts)))
        return texts

    def logits(self, prompts, tokens):
        return [
            [self.logits_of(text, token.text) for token in tokens] for text in self._read(prompts)
        ]

    def generate(self, prompts, sampling):
        answers = []
        for text in self._read(prompts):
            answer = self.answer_of(text)
            if isinstance(answer, str):
                answer = Generation(answer, (answer,), (0.0,))
            answers.append(answer)
        said = sum(len(answer.logprobs) for answer in answers)
        self.usage = replace(self.usage, generated_tokens=self.usage.generated_tokens + said)
        return answers

    def identity(self):
        return {"engine": "written"}

    def size(self):
        return None


@pytest.fixture
def written(chat_tokenizer):
    """written(logits_of=..., answer_of=...) → a WrittenEngine."""

    def make(logits_of=None, answer_of=None, **options):
        return WrittenEngine(chat_tokenizer, logits_of, answer_of, **options)

    return make


@pytest.fixture(scope="session")
def ask():
    """ask(texts, scores) → a request about them, ids d0, d1, ..."""

    def make(texts, scores=None, query="does water boil", query_id="q"):
        documents = tuple(Document(f"d{i}", text, language="en") for i, text in enumerate(texts))
        return Request(Query(query_id, query, "en"), documents, scores)

    return make


@pytest.fixture(scope="session")
def ids():
    """The document ids of a ranking, best first."""
    return lambda ranking: [hit.document_id for hit in ranking.hits]
