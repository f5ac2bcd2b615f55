"""Tiny random language models of the real classes, and an engine whose answers a test writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polyrank.collections.records import Document, Query
from polyrank.notes import Notebook
from polyrank.rerankers.base import Request
from polyrank.rerankers.llm.engines.base import Generation, Usage

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = "yes no Yes No true false passage question the water boils at hundred degrees river"


@pytest.fixture(scope="session")
def chat_tokenizer():
    """A byte-level tokenizer with the control tokens of ChatML; digits are tokens of their own."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([WORDS, *WORDS.split()] * 20, trainer)
    tokenizer.add_tokens([AddedToken("<think>"), AddedToken("</think>")])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHATML
    return fast


def _folder(model_class, config, tokenizer, folder):
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = model_class(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _sizes(tokenizer):
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 4096,
        "initializer_range": 0.2,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": True,
    }


@pytest.fixture(scope="session")
def llama(chat_tokenizer, tmp_path_factory):
    """Folder of a random Llama: 2 layers, width 32."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("llama")
    return _folder(LlamaForCausalLM, LlamaConfig(**_sizes(chat_tokenizer)), chat_tokenizer, folder)


@pytest.fixture(scope="session")
def qwen3(chat_tokenizer, tmp_path_factory):
    """Folder of a random Qwen3: as the Llama, with normalised queries and keys."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    folder = tmp_path_factory.mktemp("qwen3")
    config = Qwen3Config(**_sizes(chat_tokenizer), head_dim=8)
    return _folder(Qwen3ForCausalLM, config, chat_tokenizer, folder)


@pytest.fixture(scope="session")
def t5(tmp_path_factory):
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
    return _folder(T5ForConditionalGeneration, config, fast, tmp_path_factory.mktemp("t5"))


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
