"""What circuits that are not closed mean for the operator: whom they hold back, and what to say of them. Pure."""

from jobfleet.inspection import Circuit, QueueSnapshot
from jobfleet_operator import status
from jobfleet_operator.status import Finding


def of_queue(snapshot: QueueSnapshot) -> Circuit | None:
    """The circuit that holds the whole queue; None: it is closed, or each group has its own."""
    return next((circuit for circuit in snapshot.circuits if not circuit.group), None)


def room(snapshot: QueueSnapshot, circuit: Circuit, ahead_ms: int) -> int:
    """Jobs that a circuit lets start, at most, from now until a worker that is started now can take one."""
    if snapshot.settings is None or not (circuit.half_open or circuit.probes_ms <= snapshot.now_ms + ahead_ms):
        return 0
    return max(0, snapshot.settings.breaker_probes - circuit.probing)


def behind_groups(snapshot: QueueSnapshot, ahead_ms: int) -> int:
    """Waiting jobs that the circuits of groups hold back; of the groups that the snapshot shows."""
    return sum(
        max(0, circuit.waiting - room(snapshot, circuit, ahead_ms)) for circuit in snapshot.circuits if circuit.group
    )


def finding(snapshot: QueueSnapshot) -> Finding:
    """The condition of a queue that has a breaker."""
    circuit = of_queue(snapshot)
    if circuit is not None:
        return Finding(status.CIRCUIT_CLOSED, "False", *trouble(snapshot, circuit))
    if snapshot.circuits:
        names = ", ".join(circuit.group for circuit in snapshot.circuits)
        more = snapshot.circuits_open - len(snapshot.circuits)
        others = f" and {more} more" if more > 0 else ""
        return Finding(
            status.CIRCUIT_CLOSED,
            "False",
            "GroupsOpen",
            f"too many jobs failed of these groups, which wait: {names}{others}",
        )
    return Finding(status.CIRCUIT_CLOSED, "True", "Closed", "not too many jobs fail")


def trouble(snapshot: QueueSnapshot, circuit: Circuit) -> tuple[str, str]:
    """Reason and sentence about a circuit that is not closed."""
    last = f", the last by {circuit.kind}" if circuit.kind else ""
    why = f"{circuit.failed_percent} % of the attempts failed{last}"
    if circuit.half_open or circuit.probes_ms <= snapshot.now_ms:
        return "CircuitHalfOpen", f"{why}; now a few jobs try whether it works again"
    when = status.timestamp_of_ms(circuit.probes_ms)
    return "CircuitOpen", f"{why}; nothing is handed out until {when}, then a few jobs try whether it works again"
