"""Tiny random bases, one with token types (BERT) and one without (XLM-R), with real tokenizers."""

from __future__ import annotations

import os
import string
from importlib import import_module

import pytest

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may depend on a network
os.environ["POLYRANK_CACHE"] = os.devnull  # nor on what the user of this machine has pulled
# Sums of floats depend on the number of threads, which a process else takes by what is free.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if not os.path.exists("/dev/nvidiactl"):  # no GPU: Triton's kernels run in its interpreter, which
    os.environ.setdefault("TRITON_INTERPRET", "1")  # must be said before anything imports Triton

ONE_BASE = {"cli", "evaluation", "experiments", "multivector"}
LANGUAGES = ("de", "en", "fi", "ky", "tr", "zh")
LETTERS = string.ascii_lowercase
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHAT_WORDS = "yes no Yes No true false passage question the water boils at hundred degrees river"
STD = 0.15  # ten times the usual scale, so that wrong routing shows in the third digit or before


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """Folder of a random BERT: 3 layers, width 32, character word-pieces, token types."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert") / "tiny-bert" / "base"
    folder.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary += [*LETTERS, *(f"##{letter}" for letter in LETTERS)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    _save(BertModel, BertConfig(**_sizes(len(vocabulary)), pad_token_id=0), folder)
    return folder


@pytest.fixture(scope="session")
def tiny_xlmr(tmp_path_factory):
    """Folder of a random XLM-R: the same sizes, `<s> q </s></s> d </s>`, no token types."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    folder = tmp_path_factory.mktemp("xlmr") / "tiny-xlmr" / "base"
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pieces = [(token, 0.0) for token in [*specials, "▁", *LETTERS]]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)
    config = XLMRobertaConfig(
        **_sizes(len(pieces)), type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2
    )
    _save(XLMRobertaModel, config, folder)
    return folder


@pytest.fixture(scope="session")
def tiny_xmod(tiny_xlmr, tmp_path_factory):
    """Folder of a random XMOD with modules for en, de, fi and ky, over the tiny XLM-R's tokens."""
    import torch
    from transformers import AutoTokenizer, XLMRobertaConfig, XmodConfig, XmodModel

    folder = tmp_path_factory.mktemp("xmod") / "tiny-xmod" / "base"
    like = XLMRobertaConfig.from_pretrained(tiny_xlmr).to_dict()
    kept = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
            "intermediate_size", "max_position_embeddings", "initializer_range", "pad_token_id",
            "bos_token_id", "eos_token_id", "type_vocab_size")  # fmt: skip
    config = XmodConfig(
        **{key: like[key] for key in kept},
        languages=["en_XX", "de_DE", "fi_FI", "ky_KG"],
        adapter_reuse_layer_norm=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(8)
        XmodModel(config, add_pooling_layer=False).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_xlmr).save_pretrained(folder)
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc):
    """In these folders one base is enough: what differs between bases is tested with rerankers.

    A mark, not another fixture of that name: zoos over the base are kept for a session, and would
    not be made again when a folder's own fixture takes the place of this one.
    """
    one = metafunc.definition.path.parent.name in ONE_BASE
    marks = metafunc.definition.iter_markers("parametrize")
    if (
        one
        and "tiny_folder" in metafunc.fixturenames
        and not any("tiny_folder" in mark.args[0] for mark in marks)
    ):
        mark = pytest.mark.parametrize("tiny_folder", ["tiny_bert"], indirect=True, scope="session")
        metafunc.definition.add_marker(mark)


@pytest.fixture(scope="session", params=["tiny_bert", "tiny_xlmr"])
def tiny_folder(request):
    """Both base folders in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def tiny_base(tiny_folder):
    """Both bases in turn, loaded; their names are `tiny-bert` and `tiny-xlmr`."""
    from polyrank.base import load_base

    return load_base(str(tiny_folder))


@pytest.fixture(scope="session")
def tiny_card():
    """A card as that of E5, short enough for the tiny bases."""
    from polyrank.base import BaseCard

    return BaseCard(query_prefix="ask: ", passage_prefix="tell: ", length=62, vectors=True)


@pytest.fixture(scope="session")
def carded_base(tiny_base, tiny_card):
    """The base in turn under the same name, with the card."""
    from dataclasses import replace

    return replace(tiny_base, card=tiny_card)


@pytest.fixture(scope="session")
def tiny_zoo(tiny_folder, tiny_base):
    """A zoo over the base in turn, for $POLYRANK_ZOO: six random language adapters with invertible
    layers and the ranking adapters `squad` (over `en`) and `bare` (over none), all with biases."""
    from polyrank.modules.card import Parent

    model = _adapter_model(tiny_folder)
    root = tiny_folder.parent.parent
    for seed, language in enumerate(LANGUAGES):
        model.add_adapter(language, config="seq_bn_inv")
        _save_random(
            model, language, tiny_base, root, role="language", language=language, seed=seed
        )
    weights = root / tiny_base.name / "language" / "adapter" / "en" / "adapter.safetensors"
    parents = {"squad": Parent("en", "en", _sha256(weights)), "bare": None}
    for seed, (name, parent) in enumerate(parents.items()):
        model.add_adapter(name, config="seq_bn")
        model.add_classification_head(name, num_labels=1, layers=2)
        _save_random(model, name, tiny_base, root, role="ranking", parent=parent, seed=100 + seed)
    return root


@pytest.fixture(scope="session")
def adapter_model():
    """The base in a folder as a model of the `adapters` library: adapter_model(folder)."""
    return _adapter_model


@pytest.fixture(scope="session")
def randomise():
    """Give an adapter and its head visibly random weights: randomise(model, name, seed)."""
    return _randomise


@pytest.fixture(scope="session")
def save_random():
    """Randomise an adapter and save it into a zoo; see `_save_random`."""
    return _save_random


@pytest.fixture(scope="session")
def save_random_mask():
    """Save a random mask into a zoo; see `_save_random_mask`."""
    return _save_random_mask


@pytest.fixture(scope="session")
def mask_zoo(tiny_base, tmp_path_factory):
    """A zoo over the base in turn: six random language masks, the ranking masks `squad` (over `en`)
    and `bare` (over none), with heads. In `tiny_zoo` adapters have the same names."""
    from polyrank.modules.card import Parent

    root = tmp_path_factory.mktemp("masks")
    for seed, language in enumerate(LANGUAGES):
        _save_random_mask(tiny_base, root, "language", language, seed, language=language)
    weights = root / tiny_base.name / "language" / "mask" / "en" / "mask.safetensors"
    parents = {"squad": Parent("en", "en", _sha256(weights)), "bare": None}
    for seed, (name, parent) in enumerate(parents.items()):
        _save_random_mask(tiny_base, root, "ranking", name, 100 + seed, parent=parent)
    return root


def _save_random_mask(base, root, role, name, seed, language="en", parent=None):
    """A mask of random differences, with a head where it ranks, as a module of a zoo."""
    import torch

    from polyrank.modules.adapter.tensors import Head
    from polyrank.modules.card import ModuleCard
    from polyrank.modules.mask.mask_folder import save_mask_module

    card = ModuleCard(role, "mask", name, language, base.name, base.fingerprint, parent)
    generator = torch.Generator().manual_seed(seed)
    width = base.model.config.hidden_size
    shapes = ((width, width), (width,), (1, width), (1,))
    w1, b1, w2, b2 = (torch.randn(shape, generator=generator) * 0.3 for shape in shapes)
    head = Head(((w1, b1), (w2, b2))) if role == "ranking" else None
    mask = _random_mask(base.model, seed, std=0.05)
    save_mask_module(mask, root / base.name / role / "mask" / name, card, head)


@pytest.fixture(scope="session")
def as_it_was():
    """as_it_was(encoder) -> a function that says whether its weights are still those of now."""
    import torch

    def watch(encoder):
        before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}

        def unchanged():
            now = encoder.state_dict()
            return all(torch.equal(tensor, now[name]) for name, tensor in before.items())

        return unchanged

    return watch


@pytest.fixture(scope="session")
def random_mask():
    """Differences at random coordinates of every tensor: random_mask(encoder, seed, share)."""
    return _random_mask


def _random_mask(encoder, seed, share=0.1, std=0.2):
    import torch

    from polyrank.modules.mask.sparse import SparseDifference

    generator = torch.Generator().manual_seed(seed)
    mask = {}
    for name, weight in encoder.named_parameters():
        chosen = torch.rand(weight.numel(), generator=generator) < share
        indices = chosen.nonzero().squeeze(1)
        values = torch.randn(len(indices), generator=generator) * std
        mask[name] = SparseDifference(tuple(weight.shape), indices, values)
    return mask


@pytest.fixture(scope="session")
def made_default_zoo(tmp_path_factory, adapter_model, save_random, save_random_mask, randomise):
    """A zoo whose base has the default base's name: what verbs use when no option says otherwise.

    Adapters and masks for ten languages, `squad` of both kinds, and `squad-li`, all random.
    """
    from polyrank.base import DEFAULT_BASE, load_base

    from .default_zoo import write_base, write_modules
    from .late_interaction.conftest import save_random_late

    root = tmp_path_factory.mktemp("default")
    folder = root / DEFAULT_BASE / "base"
    folder.mkdir(parents=True)
    write_base(folder)
    base = load_base(str(folder))
    write_modules(base, root, adapter_model, save_random, save_random_mask)
    save_random_late(base, "adapter", "squad-li", root, randomise)
    return root


@pytest.fixture
def default_zoo(made_default_zoo, monkeypatch):
    """That zoo, found before what is bundled, also by processes that the test starts."""
    monkeypatch.setenv("POLYRANK_ZOO", str(made_default_zoo))
    return made_default_zoo


@pytest.fixture
def as_bundled(monkeypatch):
    """as_bundled(root): in this process that zoo is the one that is bundled."""

    def place(root):
        for name in ("polyrank.base", "polyrank.base.roots", "polyrank.zoo.find"):
            monkeypatch.setattr(import_module(name), "bundled_zoo", lambda: root)

    return place


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
    tokenizer.train_from_iterator([CHAT_WORDS, *CHAT_WORDS.split()] * 20, trainer)
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


@pytest.fixture(scope="session")
def language_model_sizes(chat_tokenizer):
    """Of a decoder of 2 layers, width 32, for that tokenizer."""
    return {
        "vocab_size": len(chat_tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 4096,
        "initializer_range": 0.2,
        "bos_token_id": None,
        "eos_token_id": chat_tokenizer.eos_token_id,
        "tie_word_embeddings": True,
    }


@pytest.fixture(scope="session")
def save_language_model(tmp_path_factory):
    """save(class, config, tokenizer) → the folder of a random model of that class."""
    import torch

    def save(model_class, config, tokenizer):
        folder = tmp_path_factory.mktemp(config.model_type)
        with torch.random.fork_rng():
            torch.manual_seed(5)
            model = model_class(config)
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="session")
def bart(chat_tokenizer, save_language_model):
    """Folder of a random BART of 64 positions."""
    from transformers import BartConfig, BartForConditionalGeneration

    config = BartConfig(
        vocab_size=len(chat_tokenizer), d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, max_position_embeddings=64, bos_token_id=1, init_std=0.5,
        pad_token_id=chat_tokenizer.pad_token_id, eos_token_id=chat_tokenizer.eos_token_id,
        decoder_start_token_id=1, num_beams=1,
    )  # fmt: skip
    return save_language_model(BartForConditionalGeneration, config, chat_tokenizer)


@pytest.fixture(scope="session")
def llama(chat_tokenizer, language_model_sizes, save_language_model):
    """Folder of a random Llama."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return save_language_model(
        LlamaForCausalLM, LlamaConfig(**language_model_sizes), chat_tokenizer
    )


@pytest.fixture
def polyrank():
    """polyrank("verb", "--option", ...) -> result with exit_code, stdout, stderr."""
    from polyrank.cli.app import app
    from typer.testing import CliRunner

    def run(*arguments, stdin=None):
        result = CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception  # a traceback is what no user should see
        return result

    return run


@pytest.fixture(scope="module")
def ray_cluster():
    """A local Ray of two CPUs, for all tests of a file; pools and commands join it."""
    ray = pytest.importorskip("ray", reason="needs polyrank[ray]")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    quiet = {"log_to_driver": False, "logging_level": "error"}
    for attempt in (1, 2, 3):
        try:
            ray.init(address="local", num_cpus=2, include_dashboard=False, **quiet)
            break
        except Exception:  # Ray's own: its node gets 30 seconds, too few on a busy machine
            ray.shutdown()
            if attempt == 3:
                raise
    yield ray
    ray.shutdown()


def _adapter_model(folder):
    """The base as a model of the `adapters` library."""
    from adapters import AutoAdapterModel

    return AutoAdapterModel.from_pretrained(str(folder)).eval()


def _save_random(model, name, base, root, *, role, language="en", parent=None, seed=0, **options):
    """Give an adapter (and its head) visibly random weights and save it into a zoo."""
    from polyrank.modules.adapter.adapter_folder import save_adapter_module
    from polyrank.modules.card import Data, ModuleCard

    _randomise(model, name, seed)
    card = ModuleCard(
        role=role,
        kind="adapter",
        name=name,
        language=language,
        base=base.name,
        base_fingerprint=base.fingerprint,
        parent=parent,
        recipe={"command": "none: random weights", "seed": seed},
        data=(Data("nothing", "CC0-1.0", 0),),
    )
    folder = root / base.name / role / "adapter" / name
    save_adapter_module(model, name, folder, card, head=role == "ranking", **options)
    return folder


def _randomise(model, name, seed=0, std=0.2) -> None:
    """Normal weights of a scale that shows, biases included, from a generator of their own."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if any(f"{part}.{name}." in key for part in ("adapters", "heads")):
                parameter.normal_(0.0, std, generator=generator)


def _sha256(path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sizes(vocabulary: int) -> dict:
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 96,
        "initializer_range": STD,
    }


def _save(model_class, config, folder) -> None:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(7)
        model_class(config).save_pretrained(folder)


@pytest.fixture(scope="session")
def held():
    """The lock of a target, held as by another process: by another opening of its file."""
    import fcntl
    from contextlib import contextmanager

    from polyrank.locks import lock_file

    @contextmanager
    def hold(target, inside=False):
        path = lock_file(target, inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield path
            path.unlink(missing_ok=True)

    return hold
