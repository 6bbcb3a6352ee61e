"""Unit trees: the rows of a file of units put together, in any order, with the units that are there; every misfit is found.

What a row says is read by `unit_imports.py`, which also makes the units.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from api.imports.plans import UnitNames, codes_of, fetch_by_names
from api.imports.tables import TableRow
from schema.organisation.units import ALLOWED_PARENTS, FormerName, Unit, UnitLevel
from storage.store import Store


@dataclass(eq=False)
class UnitNode:
    """A row, the unit that it is already, and what stands above it: another row, a unit that is there, or nothing."""

    row: TableRow
    code: str
    level: UnitLevel | None
    formers: list[FormerName]
    existing: Unit | None = None
    parent: "UnitNode | Unit | None" = None

    @property
    def label(self) -> str:
        return f"{self.code} {self.row.text('name')}"


class Tree:
    """The nodes of a file by code; `join` puts them together and leaves every fault in the table of their rows."""

    def __init__(self, nodes: dict[str, UnitNode]) -> None:
        self.nodes = nodes
        self.formerly: dict[str, list[UnitNode]] = {}
        for node in nodes.values():
            for code in dict.fromkeys(former.code for former in node.formers):
                self.formerly.setdefault(code, []).append(node)
        self._known = UnitNames([])

    async def join(self, store: Store) -> None:
        nodes = self.nodes.values()
        named = [name for node in nodes for name in (node.code, node.row.text("parent"))]
        self._known = UnitNames(await fetch_by_names(store.units.named, [*named, *self.formerly]))
        for node in nodes:
            node.existing = self._known.present.get(node.code) or self._renamed(node)
            self._remark_on_codes(node)
        above = await fetch_by_names(
            store.units.many, [node.existing.parent_id or "" for node in nodes if node.existing]
        )
        parents = {str(unit.id): unit for unit in above}
        for node in nodes:
            self._find_parent(node, parents)
        for node in nodes:
            _check_level(node)
        await self._check_children(store)
        self._check_cycles()

    def _renamed(self, node: UnitNode) -> Unit | None:
        """The unit that has had one of the row's former codes until now, and whose own code no row keeps."""
        present = self._known.present
        old = [present[each.code] for each in node.formers if each.code in present and each.code not in self.nodes]
        if len(old) > 1:
            node.row.fault(
                "former_codes", f"One of {codes_of(old)} can go on as {node.code}, not several: name that one."
            )
            return None
        rivals = [rival for unit in old for rival in self.formerly[unit.code] if rival is not node]
        if rivals:
            node.row.fault(
                "former_codes", f"Row {rivals[0].row.number} goes on as {old[0].code}, too: only one row can."
            )
        return old[0] if old else None

    def _remark_on_codes(self, node: UnitNode) -> None:
        own = node.existing.id if node.existing else None
        if others := [unit for unit in self._known.former.get(node.code, []) if unit.id != own]:
            node.row.remark(
                f"{node.code} is also a former code of {codes_of(others)}; who names it means this unit now."
            )
        for former in node.formers:
            unit, row = self._known.present.get(former.code), self.nodes.get(former.code)
            if former.code != node.code and (row or (unit and unit.id != own)):
                node.row.remark(f"Its former code {former.code} is another unit's code; who names it means that one.")

    def _find_parent(self, node: UnitNode, parents: dict[str, Unit]) -> None:
        code, row, existing = node.row.text("parent"), node.row, node.existing
        if existing and not row.table.has("parent"):
            node.parent = parents.get(existing.parent_id or "")
            return
        if not code:
            if node.level not in {None, UnitLevel.PROVINCE}:
                row.fault("parent", "Every unit but a PROVINCE has a superior: give its code.")
            return
        node.parent = self._named(row, code)
        if existing and node.parent and _id_of(node.parent) != existing.parent_id:
            now = parents.get(existing.parent_id or "")
            row.fault(
                "parent",
                f"{existing.code} stands below {codes_of([now]) if now else 'nothing'}. "
                "An import does not move a unit with all that is below it: give the superior that it has.",
            )

    def _named(self, row: TableRow, code: str) -> "UnitNode | Unit | None":
        """What a row names as its superior: by a code of the file or of a unit, or else by a former one of either."""
        if node := self.nodes.get(code):
            return node
        unit = self._known.present.get(code)
        heirs = self.formerly.get(code, [])
        if len(heirs) == 1 and (unit is None or heirs[0].existing is unit):
            row.remark(f"{code} is a former code of {heirs[0].label}, which was taken.")
            return heirs[0]
        found = self._known.find(row, "parent", code)
        return next((node for node in self.nodes.values() if found and node.existing is found), found)

    async def _check_children(self, store: Store) -> None:
        """A unit whose level changes keeps those below it, which must fit."""
        changing = {
            str(node.existing.id): node
            for node in self.nodes.values()
            if node.existing and node.level != node.existing.level
        }
        if not changing:
            return
        here = {str(node.existing.id) for node in self.nodes.values() if node.existing}
        for child in await store.units.children(list(changing)):
            node = changing[child.parent_id or ""]
            if child.id not in here and node.level and node.level not in ALLOWED_PARENTS[child.level]:
                node.row.fault(
                    "level", f"{codes_of([child])} stands below it, and can't stand below a {node.level.value}."
                )

    def _check_cycles(self) -> None:
        done: set[UnitNode] = set()
        for start in self.nodes.values():
            way: list[UnitNode] = []
            node: UnitNode | Unit | None = start
            while isinstance(node, UnitNode) and node not in done and node not in way:
                way.append(node)
                node = node.parent
            if isinstance(node, UnitNode) and node in way:
                circle = way[way.index(node) :]
                codes = " > ".join(each.code for each in [*circle, node])
                node.row.fault("parent", f"The unit would stand below itself: {codes}.")
            done.update(way)


def _check_level(node: UnitNode) -> None:
    level, parent = node.level, node.parent
    if level is None or parent is None or parent.level is None:
        return  # a fault of its own by now, or of the row above
    fitting = ALLOWED_PARENTS[level]
    if parent.level not in fitting:
        below = " or ".join(str(each.value) for each in UnitLevel if each in fitting) or "nothing"
        node.row.fault("parent", f"A {level.value} stands below {below}; {parent.code} is a {parent.level.value}.")


def _id_of(parent: UnitNode | Unit) -> str | None:
    unit = parent.existing if isinstance(parent, UnitNode) else parent
    return str(unit.id) if unit else None


def in_freeing_order(recoded: Sequence[UnitNode]) -> list[UnitNode]:
    """Units whose code changes, each after the one that has its new code now; a fault where they wait for each other."""
    waiting = {node.existing.code: node for node in recoded if node.existing}
    ordered: list[UnitNode] = []
    while waiting:
        free = [(old, node) for old, node in waiting.items() if node.code not in waiting]
        if not free:
            for node in waiting.values():
                node.row.fault(
                    "code", "Codes are exchanged among units: import a code of neither first, then this one."
                )
            return ordered
        for old, node in free:
            del waiting[old]
            ordered.append(node)
    return ordered
