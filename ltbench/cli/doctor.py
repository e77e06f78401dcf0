"""``ltbench doctor``: what is installed, on which device, whether it fits together, and where data is found."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ltbench.cli import inspection
from ltbench.cli.listing import size_text
from ltbench.running.toolchain import compiler_problem


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser("doctor", help="say what is installed, what does not fit, and where data is found",
                                 description="Inspect the installation. The exit code is 1 if something is wrong; data that is "
                                             "merely absent is not.")
    parser.add_argument("--data-root", metavar="DIR", help="the folder of data sets (default: LTBENCH_DATA)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Inspect and report."""
    report = examine(args.registry, args.data_root)
    if args.json:
        print(json.dumps(report, indent=1))
    else:
        print("\n".join(describe(report)))
    return 1 if report["problems"] else 0


def examine(registry: Any, given_root: str | None) -> dict[str, Any]:
    """Gather the report: plain JSON types, with every problem as one line under ``problems``."""
    packages, problems = inspection.packages()
    torch, torch_problems = inspection.torch_state(packages)
    problems += torch_problems
    plugins = [{"name": info.name, "distribution": info.distribution, "version": info.version, "error": info.error,
                "disabled": info.disabled} for info in registry.plugins]
    problems += registry.problems
    # Reading data imports torch: with a broken one every data set would only repeat what was said already.
    data, data_problems = inspection.data(registry, given_root, readable=not torch_problems)
    cache, cache_problems = inspection.cache()
    return {
        "python": inspection.python(),
        "packages": packages,
        "machine": inspection.machine(),
        "torch": torch,
        "compiler": compiler_problem(),
        "data": data,
        "cache": cache,
        "plugins": plugins,
        "problems": problems + data_problems + cache_problems,
    }


def _devices(report: Mapping[str, Any]) -> str:
    if report["torch"]["problem"]:
        return "unknown, torch cannot be imported"
    found = [f"{device['kind']} {device['name']} ({size_text(device['memory'])})" for device in report["torch"]["devices"]]
    return ", ".join(found) or "cpu"


def describe(report: Mapping[str, Any]) -> Sequence[str]:
    """Return the report as lines for people; what is wrong comes last, where the eye is."""
    machine, data, cache = report["machine"], report["data"], report["cache"]
    plugins = [plugin for plugin in report["plugins"] if not plugin["disabled"]]
    broken = sum(plugin["error"] is not None for plugin in plugins)
    lines = [
        f"python      {report['python']}",
        "packages    " + ", ".join(f"{name} {version or '(missing)'}" for name, version in report["packages"].items()),
        f"device      {_devices(report)}",
        f"machine     {machine['cores']} cores, {size_text(machine['memory'])} memory",
        f"compiler    {report['compiler'] or 'found'}{' (only --compile needs it)' if report['compiler'] else ''}",
        f"plugins     {len(plugins) - broken} work, {broken} broken",
        f"cache       {cache['folder']} ({size_text(cache['bytes'])} of {size_text(cache['limit'])})",
        f"data        {data['root'] or 'no folder: set LTBENCH_DATA or give --data-root'}",
    ]
    lines += [f"            {name}: {state}" for name, state in data["datasets"].items()]
    lines += [f"problem     {problem}" for problem in report["problems"]] or ["all is well"]
    return lines
