"""`benchc plan`: show the cost of a run before it starts, and which design reaches a given interval width."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchc_metrics.designs import conditions_per_sample, describe_design
from benchc_metrics.escaping import for_terminal
from benchc_metrics.messages import quoted
from benchc_metrics.metrics.ras import DEFAULT_READING
from benchc_metrics.pages.tables import Cell, Column, Table, print_tables, to_json
from benchc_metrics.runs import read_run
from benchc_metrics.statistics.planning import PLANNED_DESIGNS, TRIAL_SPREADS, Spread, spread_of_run
from benchc_tasks.commands.output import add_reading_argument, whole_number
from benchc_tasks.models.costs import Prices
from benchc_tasks.stacks.lmms_eval.preflight import parse_arguments
from benchc_tasks.stacks.lmms_eval.server_names import SERVED_BACKENDS

if TYPE_CHECKING:
    from benchc_tasks.datasets import SampleDataset
    from benchc_tasks.models.questions import Question
    from benchc_tasks.stacks.planning import Plan, PlannedTask, TokensPerPass

__all__ = ["add_parser", "run"]

MOST = 10**9
_PROCESSOR_ARGUMENTS = ("revision", "trust_remote_code")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("plan", help="show what a run will take, before it starts")
    parser.add_argument("--tasks", default="benchc-lite", metavar="NAME,...", help="as lmms-eval's (%(default)s)")
    parser.add_argument(
        "--model_args",
        "--model-args",
        default="",
        metavar="NAME=VALUE,...",
        help="arguments of the model benchc; its tokenizer counts the tokens, else they are estimated",
    )
    parser.add_argument("--dataset", "--data", metavar="PATH", help="a folder, a file or a hub id (BENCHC_DATASET)")
    parser.add_argument("--split", metavar="NAME", help="the dataset's split, if it has several")
    parser.add_argument("--limit", type=whole_number(1, MOST), metavar="N", help="only the first N samples")
    own = parser.add_argument("--include-path", "--include_path", type=Path, action="append", default=[])
    own.metavar, own.help = "FOLDER", "a folder with further tasks"
    parser.add_argument("--tokens-per-picture", type=_positive, metavar="N", help="used without a tokenizer")
    parser.add_argument(
        "--price-input", type=_positive, default=0.0, metavar="X", help="price of a million tokens read"
    )
    parser.add_argument(
        "--price-output", type=_positive, default=0.0, metavar="X", help="price of a million tokens written"
    )
    parser.add_argument(
        "--passes-per-second", type=_positive, metavar="X", help="the rate that a run shows; gives hours"
    )
    parser.add_argument("--max-passes", type=whole_number(1, MOST), metavar="N", help="stop a run after N passes")
    parser.add_argument("--budget", type=_positive, metavar="X", help="stop a run before it has spent X")
    parser.add_argument(
        "--width", type=_positive, metavar="W", help="show how many samples give a 95 %% interval of RAS of this width"
    )
    parser.add_argument(
        "--from", dest="source", metavar="RUN", help="plan the width from this run's first samples, not from trial runs"
    )
    add_reading_argument(parser)
    parser.add_argument("--json", action="store_true", help="all numbers, for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the plan."""
    from rich.console import Console

    from benchc_tasks.datasets import SOURCE_VARIABLE, load_dataset
    from benchc_tasks.stacks.planning import plan_of, planned_tasks

    if arguments.source and not arguments.width:
        raise ValueError("--from only plans a width: give --width too")
    prices = Prices(arguments.price_input, arguments.price_output)
    if arguments.budget and not prices.are_given:
        raise ValueError("--budget needs prices: give --price-input, and --price-output, of a million tokens each")
    tasks = planned_tasks(arguments.tasks, arguments.include_path)
    samples = load_dataset(arguments.dataset or os.environ.get(SOURCE_VARIABLE) or None, arguments.split)
    plan = plan_of(tasks, samples, _tokens(arguments, samples, tasks), arguments.limit)
    tables = [_costs(arguments.tasks, plan, samples.source, prices, arguments.passes_per_second)]
    notes = [f"Tokens are {plan.tokens.source}.", *_stops(arguments, plan, prices)]
    if arguments.width:
        spreads, origin = _spreads(arguments)
        table, said = _widths(spreads, origin, arguments.width, plan.samples, plan.tokens, prices)
        tables.append(table)
        notes += said
    if arguments.json:
        print(to_json(tables, {"ras_reading": arguments.ras_reading}, notes, []), end="")
    else:
        print_tables(tables, list(map(for_terminal, notes)), Console(soft_wrap=True))
    return 0


def _tokens(arguments: argparse.Namespace, samples: SampleDataset, tasks: Sequence[PlannedTask]) -> TokensPerPass:
    """Count the tokens of a pass with the model's processor, or estimate them if it is not available."""
    from benchc_tasks.stacks.planning import TokensPerPass, estimated_tokens, typical_questions, written_tokens

    questions = typical_questions(samples)
    given = parse_arguments(arguments.model_args)
    pretrained = given.get("pretrained")
    is_bundled = not given and samples.is_demonstration
    if (given.get("backend") in SERVED_BACKENDS or pretrained is None) and not is_bundled:
        return estimated_tokens(questions, tasks, arguments.tokens_per_picture)
    read = _counted(pretrained, given, questions)
    name = "the bundled model" if pretrained is None else pretrained
    return TokensPerPass(read, written_tokens(tasks), f"counted on {len(questions)} samples by the processor of {name}")


def _counted(pretrained: str | None, given: dict[str, str], questions: Sequence[Question]) -> float:
    from benchc_tasks.demonstration import DEMONSTRATION_MODEL
    from benchc_tasks.models.token_counts import mean_tokens

    taken = {name: given[name] for name in _PROCESSOR_ARGUMENTS if name in given}
    if "trust_remote_code" in taken:
        trusted = {"trust_remote_code": taken.pop("trust_remote_code").lower() == "true"}
        return mean_tokens(str(pretrained), {**taken, **trusted}, questions)
    return mean_tokens(pretrained or str(DEMONSTRATION_MODEL), taken, questions)


def _costs(named: str, plan: Plan, source: str, prices: Prices, passes_per_second: float | None) -> Table:
    rows: list[tuple[Cell, ...]] = [
        ("samples", plan.samples, "" if plan.samples == 1 else f"of {source}"),
        ("conditions a sample", f"{plan.conditions:.4g}", "clean included"),
        ("forward passes", plan.passes, ""),
        ("pictures", plan.pictures, "one a pass"),
        ("tokens to read", plan.read, f"{plan.tokens.read:,.0f} a pass"),
        ("tokens to write", plan.written, f"{plan.tokens.written:,.0f} a pass at most"),
    ]
    if prices.are_given:
        rows.append(("price", f"{plan.price(prices):,.2f}", "in the currency of the given prices"))
    if passes_per_second:
        hours = plan.passes / passes_per_second / 3600
        rows.append(("hours", f"{hours:,.2f}", f"at {passes_per_second:g} passes a second"))
    columns = (Column("what", "what"), Column("number", "number"), Column("about", ""))
    return Table(f"What {named} will take", columns, tuple(rows))


def _stops(arguments: argparse.Namespace, plan: Plan, prices: Prices) -> list[str]:
    """Describe where the limits stop a run, how many starts it needs, and the command."""
    limits = []
    passes = plan.passes
    if arguments.max_passes:
        limits.append(f"max_passes={arguments.max_passes}")
        passes = min(passes, arguments.max_passes)
    if arguments.budget:
        limits += [f"budget={arguments.budget:g}", f"price_input={prices.read:g}", f"price_output={prices.written:g}"]
        passes = min(passes, plan.passes_within(arguments.budget, prices))
    said = []
    if limits and passes < plan.passes:
        if passes < 1:
            raise ValueError(f"a budget of {arguments.budget:g} does not pay for one pass: give more")
        times = -(-plan.passes // passes)
        said.append(
            f"A run stops after about {passes:,} of {plan.passes:,} passes, and the same command continues it; {times} "
            "starts complete it."
        )
    elif limits:
        said.append("The run needs less than the limits: it goes to its end.")
    said.append(f"Run it: {_command(arguments, limits)}")
    return said


def _command(arguments: argparse.Namespace, limits: Sequence[str]) -> str:
    words = ["benchc", "run", "--no-control", "--tasks", arguments.tasks]
    if given := ",".join([arguments.model_args, *limits] if arguments.model_args else limits):
        words += ["--model_args", given]
    for name in ("dataset", "limit"):
        if (value := getattr(arguments, name)) is not None:
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def _spreads(arguments: argparse.Namespace) -> tuple[list[Spread], str]:
    reading = arguments.ras_reading or DEFAULT_READING
    if arguments.source:
        found = read_run(arguments.source)
        return [spread_of_run(found, reading)], f"{len(found.sample_ids)} samples of {found.name}"
    spreads = list(TRIAL_SPREADS[reading].values())
    return spreads, f"the {len(spreads)} trial runs (their median; 'from, to' has the smallest and the largest)"


def _widths(
    spreads: Sequence[Spread], origin: str, width: float, samples: int, tokens: TokensPerPass, prices: Prices
) -> tuple[Table, list[str]]:
    """Tabulate for each design the samples that reach a width, and the width of the planned samples."""
    columns = [
        Column("design", "design"),
        Column("samples", "samples"),
        Column("ends", "" if len(spreads) == 1 else "from, to"),
        Column("passes", "forward passes"),
        Column("width", f"width with {samples:,} samples"),
    ]
    if prices.are_given:
        columns.append(Column("price", "price"))
    rows: list[tuple[Cell, ...]] = []
    candidates: list[tuple[bool, int, int, str]] = []
    for design in PLANNED_DESIGNS:
        numbers = [spread.samples(width, design) for spread in spreads]
        number = round(median(numbers))
        passes = number * (1 + conditions_per_sample(design))
        found = median(spread.width(samples, design) for spread in spreads)
        row: list[Cell] = [
            design,
            number,
            f"{min(numbers):,} to {max(numbers):,}" if len(spreads) > 1 else "",
            passes,
            f"{found:.3f}",
        ]
        if prices.are_given:
            row.append(f"{prices.of(passes * tokens.read, passes * tokens.written):,.2f}")
        rows.append(tuple(row))
        candidates.append((number > samples, passes, number, design))
    is_beyond, passes, number, design = min(candidates)
    said = [f"Planned from {origin}; the interval of RAS is 95 %, its width from end to end."]
    if is_beyond:
        said.append(f"No design reaches a width of {width:g} with {samples:,} samples: take more samples.")
    said.append(
        f"Fewest passes for a width of {width:g}: {number:,} samples with the design {describe_design(design)}, "
        f"{passes:,} passes; with fewer conditions a sample, a run says less about single corruptions."
    )
    return Table(f"What reaches a 95 % interval of RAS {width:g} wide", tuple(columns), tuple(rows)), said


def _positive(text: str) -> float:
    """Read the value of an option that takes a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not isfinite(number) or number <= 0:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not a number above 0")
    return number
