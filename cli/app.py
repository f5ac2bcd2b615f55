"""The Typer app: one verb per file, errors as one message and exit code 2."""

from __future__ import annotations

import errno
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from polyrank.errors import PolyrankError
from polyrank.machine import choose_threads, forget_threads
from polyrank.progress import note

from . import (
    alignment,
    bench,
    calibrate,
    collections,
    compare,
    compose,
    corpus,
    demo,
    detect,
    distill,
    doctor,
    evaluate,
    experiment,
    explain,
    index,
    loyalty,
    mcp,
    prompts,
    rerank,
    search,
    serve,
    summaries,
    train,
    translate,
    view,
    zoo,
)
from .verb import App, Training


class Verbs(TyperGroup):
    """Turns what a user can mend into a message on stderr, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PolyrankError as error:
            stop(str(error), code=2)
        except EOFError as error:  # which Typer would call 'Aborted!', and nothing else
            stop(f"a file ends too early ({error}); restore it, or make it again", code=2)
        except KeyboardInterrupt as interrupt:
            stop(str(interrupt) or "stopped", code=130)
        except BrokenPipeError:
            raise  # the reader of our output has gone (polyrank ... | head): Typer ends quietly
        except OSError as error:
            if error.errno is None:
                raise
            # A full disk is met while writing, when no file is named.
            where = f"{error.filename}: " if error.filename else ""
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            advice = "; make room and run it again" if full else ""
            stop(f"{where}{error.strerror}{advice}", code=2)


def stop(message: str, code: int) -> None:
    sys.stdout.flush()
    note(message)
    raise typer.Exit(code)


def show_version(asked: bool) -> None:
    if asked:
        import polyrank

        print(f"polyrank {polyrank.__version__}")
        raise typer.Exit


app = App(
    name="polyrank",
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: it keeps the lines of the examples, and is fast
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def polyrank_(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=show_version, is_eager=True, help="Show the version and stop."
    ),
    threads: int | None = typer.Option(
        None, min=1, help="Of the processor; else as many as other processes leave free."
    ),
) -> None:
    """Multilingual modular adapters for reranking.

    Results go to stdout or --output, messages to stderr. Each verb has examples that run as they
    stand on the bundled data: polyrank VERB --help
    """
    choose_threads(threads)
    context.call_on_close(forget_threads)


app.command("rerank", short_help="Rerank the candidates of a first stage.")(rerank.rerank)
app.command("search")(search.search)
app.command("serve", short_help="Serve rerankers over HTTP.")(serve.serve)
app.command("mcp", short_help="Serve tools to language models.")(mcp.mcp)
app.command("compose", short_help="Plan a reranker, print and keep it.")(compose.compose)
app.command("evaluate", short_help="Measure a run, and test it against another.")(evaluate.evaluate)
app.command("bench", short_help="Measure a distilled model beside its teacher.")(bench.bench)
app.command("loyalty", short_help="Compare a student's run with its teacher's.")(loyalty.loyalty)
app.command("experiment", short_help="Run a comparison described in YAML, and report it.")(
    experiment.experiment
)
app.command("explain", short_help="Show what in a passage answers a query.")(explain.explain)
app.command("calibrate", short_help="Fit what scores mean, as probabilities.")(calibrate.calibrate)
app.command("view", short_help="Write runs as a page to look at.")(view.view)
app.command("alignment", short_help="Show which language needs a module most.")(alignment.alignment)
app.command("compare", short_help="Test runs against a baseline.")(compare.compare)
app.command("translate", short_help="Translate rows, with marked spans.")(translate.translate)
app.command("detect", short_help="Identify the language of texts.")(detect.detect)
app.command("distill", cls=Training, short_help="Distil a smaller model for a pair of languages.")(
    distill.distill
)
app.command("demo", short_help="Show what each part adds, on bundled queries.")(demo.demo)
app.command("doctor", short_help="Say what is missing, and how to get it.")(doctor.doctor)
app.add_typer(collections.app, name="collections")
app.add_typer(corpus.app, name="corpus")
app.add_typer(index.app, name="index")
app.add_typer(prompts.app, name="prompts")
app.add_typer(summaries.app, name="summaries")
app.add_typer(zoo.app, name="zoo")
app.add_typer(train.app, name="train")
