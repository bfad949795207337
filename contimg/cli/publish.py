"""`contimg publish`: decisions of operators about mosaics."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from contimg.cli.common import VERSION, Context, echo, json_option, opened, pasteable, print_json
from contimg.storage.process import one_line

if TYPE_CHECKING:
    from contimg.publishing.deciding import Named
    from contimg.publishing.publish import Outcome
    from contimg.registry.engine import Registry

_reason = click.option("--reason", required=True, help="Why; it is recorded with your name and the time.")
_version = click.option("--version", type=VERSION, help="Which version; needed when there are several.")
_manifest = click.option(
    "--manifest", metavar="DIGITS", help="Refuse unless the SHA-256 of its manifest begins with these digits."
)


@click.group()
def publish() -> None:
    """Retry, approve, reject, withdraw, restore or cite a mosaic."""


def _decision(short_help: str) -> Callable[[Callable[..., None]], click.Command]:
    """Return what makes a subcommand of a decision: it takes MOSAIC, --reason, --version, --manifest and --json."""

    def make(function: Callable[..., None]) -> click.Command:
        for add in (click.pass_obj, json_option, _manifest, _version, _reason, click.argument("mosaic")):
            function = add(function)
        return publish.command(short_help=short_help)(function)

    return make


@publish.command(short_help="Publish a mosaic now whose attempts failed.")
@click.argument("mosaic", required=False)
@click.option("--all", "everything", is_flag=True, help="Every mosaic that waits in staging.")
@click.option("--reason", default="asked for by an operator", help="What was repaired; recorded with your name.")
@json_option
@click.pass_obj
def retry(context: Context, mosaic: str | None, everything: bool, reason: str, as_json: bool) -> None:
    """Publish MOSAIC now; earlier failed attempts do not count. Exit code 1 when one fails again."""
    from contimg import naming
    from contimg.errors import ContimgError
    from contimg.products.judged import options_of
    from contimg.publishing import archive_root, decisions
    from contimg.publishing.reconcile import reconcile
    from contimg.registry import queries
    from contimg.storage.reasons import require_reason

    if (mosaic is None) != everything:
        raise click.UsageError("name one MOSAIC, or --all")
    require_reason(mosaic or "contimg publish retry --all", reason)
    results: list[dict[str, Any]] = []
    failures: list[str] = []
    with opened(context) as database:
        archive_root.require(database, context.config.layout)
        if mosaic is not None:
            names = [naming.as_mosaic_id(mosaic)]
        else:
            rows = queries.listing(database, statuses=("staging", "publishing"), latest_only=False)
            names = list(dict.fromkeys(row["data_id"] for row in rows))
        for name in names:
            try:
                judged_by = options_of(context.config)
                reconcile(database, context.config.layout, name, judged_by=judged_by, every_byte=False)
                waiting = queries.waiting(database, name)
                if not waiting and queries.get(database, name)["status"] != "published":
                    decisions.retry(database, name, reason=reason)  # raises, with its state
                for version in waiting:
                    decisions.retry(database, name, version, reason=reason)
                each = [_publish(context, database, name, version) for version in waiting]
                results += map(_as_record, each or [_publish(context, database, name)])
            except ContimgError as error:
                if mosaic is not None:
                    raise
                failures.append(str(error))
        _update_archive(context, database, mosaic and naming.as_mosaic_id(mosaic))
    _show(results, as_json)
    for sentence in failures:
        echo(f"contimg: {one_line(sentence)}", err=True)
    if failures:
        sys.exit(1)


@_decision("Publish a held mosaic in spite of its verdict.")
def approve(
    context: Context, mosaic: str, reason: str, version: int | None, manifest: str | None, as_json: bool
) -> None:
    """Publish a held MOSAIC in spite of its verdict, by your decision."""
    from contimg.products.judged import options_of
    from contimg.publishing import decisions
    from contimg.publishing.reconcile import reconcile

    named = _named(mosaic, version, manifest)
    with opened(context) as database:
        judged_by = options_of(context.config)
        reconcile(database, context.config.layout, named.data_id, judged_by=judged_by, every_byte=False)
        row = decisions.approve(database, context.config.layout, named, reason)
        outcome = _publish_approved(context, database, row)
        _update_archive(context, database, row["data_id"])
    _show([_as_record(outcome)], as_json)


@_decision("Refuse a mosaic for good that is held or in staging.")
def reject(
    context: Context, mosaic: str, reason: str, version: int | None, manifest: str | None, as_json: bool
) -> None:
    """Refuse a MOSAIC that is held or in staging, for good: only a new version of it can be published."""
    from contimg.publishing import decisions

    with opened(context) as database:
        row = decisions.reject(database, context.config.layout, _named(mosaic, version, manifest), reason)
        _update_held(context, database)
    _show([_decided(row)], as_json)


@_decision("Hide a published mosaic; nothing is deleted.")
def withdraw(
    context: Context, mosaic: str, reason: str, version: int | None, manifest: str | None, as_json: bool
) -> None:
    """Hide a published MOSAIC: it moves to .withdrawn in the archive, nothing is deleted."""
    from contimg.publishing import decisions

    row, current = _moved(context, decisions.withdraw, _named(mosaic, version, manifest), reason)
    result = _decided(row)
    if current is not None:
        result["message"] += (
            f"; version {current} is the current one now: 'contimg publish withdraw {row['data_id']} "
            f"--version {current} --reason ...' hides it too"
        )
    _show([result | {"current": current}], as_json)


@_decision("Publish a withdrawn mosaic again, after reading all of it.")
def restore(
    context: Context, mosaic: str, reason: str, version: int | None, manifest: str | None, as_json: bool
) -> None:
    """Publish a withdrawn MOSAIC again, after every byte of it was read and compared with its manifest."""
    from contimg.publishing import decisions

    row, current = _moved(context, decisions.restore, _named(mosaic, version, manifest), reason)
    message = f"restored as version {row['version']}, reason: {reason}"
    if current != row["version"]:
        message += f"; version {current} stays the current one"
    _show([_decided(row) | {"message": message, "current": current}], as_json)


@publish.command(short_help="Record the DOI under which a published mosaic is cited.")
@click.argument("mosaic")
@click.option("--doi", required=True, help="As 10.5555/dsa110.1; it is recorded with your name and the time.")
@click.option("--replace", is_flag=True, help="Replace another DOI, which was a mistake.")
@_version
@_manifest
@json_option
@click.pass_obj
def cite(
    context: Context, mosaic: str, doi: str, replace: bool, version: int | None, manifest: str | None, as_json: bool
) -> None:
    """Record the DOI under which a published MOSAIC is cited; no file that a manifest lists is touched."""
    from contimg.publishing import decisions

    with opened(context) as database:
        named = _named(mosaic, version, manifest)
        row = decisions.cite(database, context.config.layout, named, doi, replace=replace)
        _update_archive(context, database, named.data_id)
    message = f"version {row['version']} is cited as https://doi.org/{doi}"
    _show([_decided(row) | {"message": message, "doi": doi}], as_json)


def _named(mosaic: str, version: int | None, manifest: str | None) -> Named:
    from contimg import naming
    from contimg.publishing.deciding import Named

    return Named(naming.as_mosaic_id(mosaic), version, manifest)


def _moved(
    context: Context, decide: Callable[..., Mapping[str, Any]], named: Named, reason: str
) -> tuple[Mapping[str, Any], int | None]:
    """Withdraw or restore a bundle; return its row and the version that is then current."""
    from contimg.publishing.carrying_out import recorded_as
    from contimg.registry import queries

    with opened(context) as database:
        row = decide(database, context.config.layout, named, reason)
        with recorded_as(row, row["status"], "the archive's tables could not be written anew", "contimg archive"):
            current = queries.current_version(database, named.data_id)
        _update_archive(context, database, named.data_id)
    return row, current


def _publish(context: Context, database: Registry, data_id: str, version: int | None = None) -> Outcome:
    from contimg.publishing import publish as publishing

    options = context.config.publish
    return publishing.publish(
        database,
        context.config.layout,
        data_id,
        version,
        claim_s=options.claim_s,
        max_attempts=options.max_attempts,
        wait_s=options.claim_s,
        read_only=options.read_only,
    )


def _publish_approved(context: Context, database: Registry, row: Mapping[str, Any]) -> Outcome:
    """Publish what was just approved; `PublishFailed` says what does the rest, other errors are made to."""
    from contimg.publishing.carrying_out import recorded_as
    from contimg.publishing.publish import PublishFailed

    with recorded_as(row, "approved", "it could not be published", f"contimg publish retry {row['data_id']}"):
        try:
            return _publish(context, database, row["data_id"], row["version"])
        except PublishFailed as error:
            failure = error
    raise failure


def _update_archive(context: Context, database: Registry, data_id: str | None) -> None:
    from contimg.archive.update import update

    if context.config.publish.update_archive:
        update(database, context.config.layout, data_id)
    _update_held(context, database)


def _update_held(context: Context, database: Registry) -> None:
    from contimg.archive.held_page import update_held_page
    from contimg.publishing.commands import decision_commands

    if not context.config.publish.update_archive:
        return
    said = update_held_page(database, context.config.layout, lambda row: decision_commands(row, pasteable))
    if said:
        echo(said, err=True)


def _as_record(outcome: Outcome) -> dict[str, Any]:
    return vars(outcome) | {"path": str(outcome.path)}


def _decided(row: Any) -> dict[str, Any]:
    return {
        "data_id": row["data_id"],
        "version": row["version"],
        "status": row["status"],
        "path": row["published_path"] or row["stage_path"],
        "message": f"{row['status']} by {row['closed_by']}: {row['closed_reason']}",
    }


def _show(results: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(results)
        return
    for result in results:
        echo(one_line(f"{result['data_id']}: {result['message']} ({result['path']})"))
    if not results:
        echo("No mosaic waits in staging.")
