"""Show upload progress in two colours: sent by the phone, and confirmed by the server."""

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from mobile_contract.phone.cli.wording import size
from mobile_contract.phone.errors import PhoneError
from mobile_contract.phone.outbox.items import Medium

WIDTH = 30


class TwoColourBar(ProgressColumn):
    """A bar in three colours. Green is confirmed by the server, yellow is sent by the phone, grey is not sent yet."""

    def render(self, task: Task) -> Text:
        total = max(task.total or 0, 1)
        confirmed = min(int(WIDTH * task.fields["confirmed"] / total), WIDTH)
        sent = min(int(WIDTH * task.completed / total), WIDTH)
        bar = Text("━" * confirmed, style="green")
        bar.append("━" * max(sent - confirmed, 0), style="yellow")
        return bar.append("━" * (WIDTH - max(sent, confirmed)), style="bright_black")


class ByteCounts(ProgressColumn):
    """The number of sent bytes.

    The bar of the total also shows the confirmed bytes, because the bar of a confirmed medium disappears.
    """

    def render(self, task: Task) -> Text:
        text = Text(f"sent 已发 {size(int(task.completed))}")
        if task.fields["is_all"]:
            text.append(f" · confirmed 已确认 {size(task.fields['confirmed'])}", style="green")
        return text.append(f" / {size(int(task.total or 0))}")


class ProgressBars:
    """A bar for the total, and a bar for each medium under way. Without a terminal, there are no bars."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            TwoColourBar(),
            ByteCounts(),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
        )
        self._all = self._progress.add_task("all 合计", total=0, visible=False, confirmed=0, is_all=True)
        self._tasks: dict[str, TaskID] = {}
        self._left: dict[str, int] = {}
        self._counted: set[str] = set()
        self._total = 0
        self._confirmed = 0

    def __enter__(self) -> "ProgressBars":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks.values():
            self._progress.remove_task(task)
        self._progress.stop()

    def expect(self, media: Sequence[Medium]) -> None:
        """Add media to the total, except those that an earlier pass has counted."""
        self._left |= {medium.id: medium.byte_size for medium in media}
        total = self._total + sum(medium.byte_size for medium in media if medium.id not in self._counted)
        self._counted |= {medium.id for medium in media}
        self._total = total
        self._progress.update(self._all, total=total, visible=total > 0)

    def sent(self, medium: Medium, count: int) -> None:
        if medium.id not in self._tasks:
            name = medium.name[-24:].replace("[", "(")
            self._tasks[medium.id] = self._progress.add_task(
                f"  {name}", total=medium.byte_size, confirmed=0, is_all=False
            )
        self._left[medium.id] = self._left.get(medium.id, medium.byte_size) - count
        self._progress.advance(self._tasks[medium.id], count)
        self._progress.advance(self._all, count)

    def confirmed(self, media: Sequence[Medium]) -> None:
        """Remove the bars of confirmed media, and add their bytes to the confirmed total."""
        for medium in media:
            if medium.id in self._tasks:
                self._progress.remove_task(self._tasks.pop(medium.id))
            if medium.id in self._counted:
                self._confirmed += medium.byte_size
                self._progress.advance(self._all, self._left.pop(medium.id, 0))
        self._progress.update(self._all, confirmed=self._confirmed)

    def pausing(self, fault: PhoneError | None, seconds: float) -> None:
        why = f"{fault.message} " if fault else ""
        self._progress.console.print(Text(f"{why}Trying again in {seconds:.0f} s 稍后重试", style="dim"))
