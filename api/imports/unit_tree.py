"""Connect the rows of a file of units with each other and with the stored units, and find all faults in the tree.

The rows may be in any order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from api.imports.plans import UnitNames, codes_of, fetch_by_names
from api.imports.tables import TableRow
from schema.organisation.units import ALLOWED_PARENTS, FormerName, Unit, UnitLevel
from storage.store import Store


@dataclass(eq=False)
class UnitNode:
    """A row of the file, and the stored unit that the row is about, if there is one.

    `parent` is the superior: another row, a stored unit, or None.
    """

    row: TableRow
    code: str
    level: UnitLevel | None
    formers: list[FormerName]
    existing: Unit | None = None
    parent: "UnitNode | Unit | None" = None

    @property
    def label(self) -> str:
        return f"{self.code} {self.row.text('name')}"


class UnitTree:
    """The nodes of a file, by code. `join` connects the nodes and adds all faults to the table."""

    def __init__(self, nodes: dict[str, UnitNode]) -> None:
        self.nodes = nodes
        self.nodes_by_former_code: dict[str, list[UnitNode]] = {}
        for node in nodes.values():
            for code in dict.fromkeys(former.code for former in node.formers):
                self.nodes_by_former_code.setdefault(code, []).append(node)
        self._known = UnitNames([])

    async def join(self, store: Store) -> None:
        nodes = self.nodes.values()
        codes = [name for node in nodes for name in (node.code, node.row.text("parent"))]
        self._known = UnitNames(await fetch_by_names(store.units.named, [*codes, *self.nodes_by_former_code]))
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
        """Return the stored unit that gets a new code from this row, or None.

        The code of the stored unit is one of the row's former codes, and no other row has this code.
        """
        present = self._known.present
        old = [present[name.code] for name in node.formers if name.code in present and name.code not in self.nodes]
        if len(old) > 1:
            node.row.fault("former_codes", f"Only one of {codes_of(old)} can become {node.code}: name that one.")
            return None
        rivals = [rival for unit in old for rival in self.nodes_by_former_code[unit.code] if rival is not node]
        if rivals:
            node.row.fault(
                "former_codes",
                f"Row {rivals[0].row.number} also names {old[0].code} as its former code: only one row can.",
            )
        return old[0] if old else None

    def _remark_on_codes(self, node: UnitNode) -> None:
        own = node.existing.id if node.existing else None
        if others := [unit for unit in self._known.former.get(node.code, []) if unit.id != own]:
            node.row.remark(f"{node.code} is also a former code of {codes_of(others)}; from now on it means this unit.")
        for former in node.formers:
            unit, row = self._known.present.get(former.code), self.nodes.get(former.code)
            if former.code != node.code and (row or (unit and unit.id != own)):
                node.row.remark(f"Its former code {former.code} is now another unit's code, and means that unit.")

    def _find_parent(self, node: UnitNode, parents: dict[str, Unit]) -> None:
        code, row, existing = node.row.text("parent"), node.row, node.existing
        if existing and not row.table.has("parent"):
            node.parent = parents.get(existing.parent_id or "")
            return
        if not code:
            if node.level not in {None, UnitLevel.PROVINCE}:
                row.fault("parent", "Every unit except a PROVINCE has a superior: give its code.")
            return
        node.parent = self._find_superior(row, code)
        if existing and node.parent and _id_of(node.parent) != existing.parent_id:
            present = parents.get(existing.parent_id or "")
            row.fault(
                "parent",
                f"{existing.code} is below {codes_of([present]) if present else 'nothing'}. "
                "An import does not move a unit: give its present superior.",
            )

    def _find_superior(self, row: TableRow, code: str) -> "UnitNode | Unit | None":
        """Find the superior that a row names.

        First the codes of the file and of the stored units are searched, then the former codes.
        """
        if node := self.nodes.get(code):
            return node
        unit = self._known.present.get(code)
        heirs = self.nodes_by_former_code.get(code, [])
        if len(heirs) == 1 and (unit is None or heirs[0].existing is unit):
            row.remark(f"{code} is a former code of {heirs[0].label}; that unit is used.")
            return heirs[0]
        superior = self._known.find(row, "parent", code)
        return next((node for node in self.nodes.values() if superior and node.existing is superior), superior)

    async def _check_children(self, store: Store) -> None:
        """Check that the stored subordinates of each unit fit the unit's new level."""
        changing = {
            str(node.existing.id): node
            for node in self.nodes.values()
            if node.existing and node.level != node.existing.level
        }
        if not changing:
            return
        in_file = {str(node.existing.id) for node in self.nodes.values() if node.existing}
        for child in await store.units.children(list(changing)):
            node = changing[child.parent_id or ""]
            if child.id not in in_file and node.level and node.level not in ALLOWED_PARENTS[child.level]:
                node.row.fault("level", f"{codes_of([child])} is below it, and can't be below a {node.level.value}.")

    def _check_cycles(self) -> None:
        checked: set[UnitNode] = set()
        for start in self.nodes.values():
            path: list[UnitNode] = []
            node: UnitNode | Unit | None = start
            while isinstance(node, UnitNode) and node not in checked and node not in path:
                path.append(node)
                node = node.parent
            if isinstance(node, UnitNode) and node in path:
                cycle = path[path.index(node) :]
                codes = " > ".join(member.code for member in [*cycle, node])
                node.row.fault("parent", f"The unit would be below itself: {codes}.")
            checked.update(path)


def _check_level(node: UnitNode) -> None:
    level, parent = node.level, node.parent
    if level is None or parent is None or parent.level is None:
        return  # this fault is already reported, here or in the row above
    allowed = ALLOWED_PARENTS[level]
    if parent.level not in allowed:
        names = (
            " or ".join(str(parent_level.value) for parent_level in UnitLevel if parent_level in allowed) or "nothing"
        )
        node.row.fault("parent", f"A {level.value} belongs below {names}; {parent.code} is a {parent.level.value}.")


def _id_of(parent: UnitNode | Unit) -> str | None:
    unit = parent.existing if isinstance(parent, UnitNode) else parent
    return str(unit.id) if unit else None


def order_by_freed_codes(recoded: Sequence[UnitNode]) -> list[UnitNode]:
    """Sort the units whose code changes: if a unit gets the current code of another unit, the other unit comes first.

    If units exchange their codes, each of their rows gets a fault.
    """
    waiting = {node.existing.code: node for node in recoded if node.existing}
    ordered: list[UnitNode] = []
    while waiting:
        free = [(old, node) for old, node in waiting.items() if node.code not in waiting]
        if not free:
            for node in waiting.values():
                node.row.fault("code", "Units exchange their codes: import a temporary code first, then this one.")
            return ordered
        for old, node in free:
            del waiting[old]
            ordered.append(node)
    return ordered
