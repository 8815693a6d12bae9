"""The SNMP client against agents that behave and agents that do not, net-snmp's and pysnmp's views beside it."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest

from agent.errors import DriverError
from drivers.snmp import ber, transport
from drivers.snmp.client import SYS_UP_TIME, Limits, Session
from drivers.snmp.errors import AuthFailed, ErrorStatus, Malformed, NoAnswer, Unsupported, WalkCut
from drivers.snmp.protocols import AuthProtocol, PrivProtocol
from drivers.snmp.security import Community, Security, User, Usm
from fakes import snmp_recording
from fakes.snmp_agent import Agent, Behaviour, Tables
from fakes.snmp_recording import INTEGER, OCTET_STRING, TIMETICKS, Row
from fakes.snmp_usm import AgentUser

COLUMN = (1, 3, 6, 1, 2, 1, 99, 1, 1, 1, 4)
ROWS = 400
FAST = Limits(timeout_s=0.05, retries=2)
COUNTED = Limits(timeout_s=0.5, retries=2)
"""Where requests are counted: a busy machine makes none of them late."""

Start = Callable[..., Awaitable[Agent]]
Connect = Callable[..., Session]


def table() -> list[Row]:
    system = [
        Row((1, 3, 6, 1, 2, 1, 1, 1, 0), OCTET_STRING, b"fake"),
        Row(SYS_UP_TIME, TIMETICKS, 4242),
    ]
    return system + [
        Row((*COLUMN[:-1], column, index), INTEGER, column * index)
        for column in (3, 4, 5)
        for index in range(100, 100 + ROWS)
    ]


@pytest.fixture
async def endpoint() -> AsyncIterator[transport.Endpoint]:
    opened = await transport.Endpoint.open()
    yield opened
    opened.close()


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    agents: list[Agent] = []

    async def begin(rows: list[Row] | None = None, *, users: tuple[AgentUser, ...] = (), **how: object) -> Agent:
        agent = await Agent.start(Tables(rows or table()), users=users)
        agent.behaviour = Behaviour(**how)  # type: ignore[arg-type]  # the fields of Behaviour
        agents.append(agent)
        return agent

    yield begin
    for agent in agents:
        agent.stop()


@pytest.fixture
def connect(endpoint: transport.Endpoint) -> Connect:
    def to(agent: Agent, security: Security | None = None, limits: Limits = FAST) -> Session:
        return Session(endpoint, ("127.0.0.1", agent.port), security or Community("public"), limits=limits)

    return to


async def column(session: Session, oid: ber.Oid = COLUMN) -> dict[ber.Oid, ber.Value]:
    rows = session.rows(oid)
    await session.walk(rows)
    assert rows.ended
    return rows.values


WANT = {(index,): 4 * index for index in range(100, 100 + ROWS)}


async def test_a_walk_brings_the_column_and_nothing_else(start: Start, connect: Connect) -> None:
    agent = await start()
    session = connect(agent)
    assert await column(session) == WANT
    assert agent.seen.bulks == 17  # 25 rows a reply, and one reply that shows the end
    assert (await session.hello())[SYS_UP_TIME] == 4242
    assert await session.get([(1, 3, 6, 1, 99, 0), SYS_UP_TIME]) == {SYS_UP_TIME: 4242}


async def test_a_long_column_is_decoded_a_reply_at_a_time(start: Start, connect: Connect) -> None:
    """However long a column is, and though nothing waits for a task: others get their turn after each reply."""
    agent = await start([Row((*COLUMN, index), INTEGER, index) for index in range(1, 3001)])
    session = connect(agent)
    rows = session.rows(COLUMN)
    walk = asyncio.create_task(session.walk(rows))
    sizes = [0]
    while not walk.done():
        await asyncio.sleep(0)
        sizes.append(len(rows.values))
    await walk
    assert sizes[-1] == 3000
    assert max(after - before for before, after in pairwise(sizes)) == 50 == session.limits.max_repetitions


async def test_repetitions_grow_slowly_to_their_limit(start: Start, connect: Connect) -> None:
    agent = await start()
    session = connect(agent)
    for _ in range(4):
        await column(session)
    assert agent.seen.repetitions[:16] == [25] * 16
    assert session.repetitions == 50 == max(agent.seen.repetitions)


async def test_too_big_halves_and_is_remembered(start: Start, connect: Connect) -> None:
    agent = await start(too_big_above=8)
    session = connect(agent)
    assert await column(session) == WANT
    assert agent.seen.repetitions[:4] == [25, 12, 6, 6]
    for _ in range(3):
        assert await column(session) == WANT
    assert max(agent.seen.repetitions[3:]) <= 11  # never again what was too big


async def test_an_agent_that_only_answers_small_requests_is_asked_for_less(start: Start, connect: Connect) -> None:
    agent = await start(bulk_silent_above=10)
    assert await column(connect(agent)) == WANT


async def test_an_agent_without_getbulk_is_walked_by_getnext(start: Start, connect: Connect) -> None:
    agent = await start(no_bulk=True)
    assert await column(connect(agent, limits=COUNTED)) == WANT
    assert (agent.seen.bulks, agent.seen.nexts) == (1, ROWS + 1)


async def test_an_agent_that_is_silent_to_getbulk_is_walked_by_getnext(start: Start, connect: Connect) -> None:
    agent = await start(bulk_silent=True)
    session = connect(agent, limits=COUNTED)
    await session.hello()
    assert await column(session) == WANT
    assert (agent.seen.bulks, agent.seen.nexts) == (3, ROWS + 1)


async def test_short_replies_are_gone_on_from(start: Start, connect: Connect) -> None:
    agent = await start(max_rows=7)
    assert await column(connect(agent)) == WANT


async def test_lost_datagrams_are_asked_for_again(start: Start, connect: Connect) -> None:
    agent = await start(loss=0.2)
    session = connect(agent, limits=Limits(timeout_s=0.02, retries=8))
    assert await column(session) == WANT
    assert session.requests > agent.seen.bulks - 1


async def test_an_answer_to_an_earlier_try_counts(start: Start, connect: Connect) -> None:
    agent = await start(delay_s=0.08)
    session = connect(agent, limits=Limits(timeout_s=0.05, retries=2))
    assert (await session.get([SYS_UP_TIME])) == {SYS_UP_TIME: 4242}
    assert session.requests == 2


HOSTILE: list[tuple[str, dict[str, object], type[DriverError], str]] = [
    ("silent", {"silent": True}, NoAnswer, "no answer within 0.15 s"),
    ("wrong id", {"wrong_id": True}, NoAnswer, "no answer"),
    ("endless loop", {"loop_under": COLUMN}, WalkCut, "not increase"),
    ("endless rows", {"endless_under": COLUMN}, WalkCut, "more than 5000 rows"),
    ("truncated", {"cut_at": 60}, Malformed, "no SNMP message"),
    ("noise", {"cut_at": 3}, Malformed, "no SNMP message"),
    ("genErr", {"gen_err_under": COLUMN}, ErrorStatus, "genErr"),
    ("empty", {"empty": True}, WalkCut, "without any variable"),
    ("dying", {"die_after": 5}, NoAnswer, "no answer"),
    ("slow", {"delay_s": 10.0}, NoAnswer, "no answer"),
]


@pytest.mark.parametrize(
    ("how", "error", "words"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE]
)
async def test_hostile_agents_are_an_error_in_bounded_time_and_disturb_nobody(
    how: dict[str, object], error: type[DriverError], words: str, start: Start, connect: Connect
) -> None:
    hostile, honest = await start(**how), await start()
    session = connect(hostile, limits=Limits(timeout_s=0.05, retries=2, max_rows=5000))
    rows = session.rows(COLUMN)
    began = time.monotonic()

    async def walk_honest() -> int:
        other, walks = connect(honest), 0
        while time.monotonic() - began < 0.1:
            assert await column(other) == WANT
            walks += 1
        return walks

    async with asyncio.TaskGroup() as group:
        beside = group.create_task(walk_honest())
        with pytest.raises(error, match=words):
            await session.walk(rows)
    assert time.monotonic() - began < 2.0
    assert not rows.ended
    assert len(rows.values) <= 5000
    assert beside.result() >= 1


async def test_a_device_that_dies_leaves_the_rows_that_came(start: Start, connect: Connect) -> None:
    agent = await start(die_after=5)
    session = connect(agent)
    rows = session.rows(COLUMN)
    with pytest.raises(NoAnswer):
        await session.walk(rows)
    assert len(rows.values) == 125
    assert session.repetitions > 0  # it was not GETBULK's fault
    agent.behaviour.die_after = 0
    await session.walk(rows)
    assert rows.values == WANT


async def test_no_request_waits_past_the_deadline(start: Start, connect: Connect) -> None:
    agent = await start(silent=True)
    session = connect(agent, limits=Limits(timeout_s=5.0, retries=5))
    session.deadline = asyncio.get_running_loop().time() + 0.1
    began = time.monotonic()
    with pytest.raises(NoAnswer, match="used up"):
        await session.hello()
    assert time.monotonic() - began < 1.0


async def test_a_device_that_speaks_v1_only_is_named(start: Start, connect: Connect) -> None:
    with pytest.raises(Unsupported, match="SNMPv1 only"):
        await connect(await start(v1_only=True)).hello()


async def test_a_wrong_community_is_silence(start: Start, connect: Connect) -> None:
    agent = await start()
    with pytest.raises(NoAnswer, match="no answer") as caught:
        await connect(agent, Community("wrong")).hello()
    assert "community" in caught.value.hint


async def test_an_answer_from_another_address_is_not_taken(endpoint: transport.Endpoint, start: Start) -> None:
    agent = await start()
    session = Session(endpoint, ("127.0.0.2", agent.port), Community("public"), limits=FAST)
    with pytest.raises(NoAnswer):  # the agent listens on 127.0.0.1 only
        await session.hello()
    forged = ber.encode(
        ber.SEQUENCE,
        ber.encode_integer(1)
        + ber.encode(ber.OCTET_STRING, b"public")
        + ber.encode_pdu(ber.RESPONSE, 77, 0, 0, ber.encode_varbind(SYS_UP_TIME, ber.encode_integer(1))),
    )
    reply = transport.Reply()
    endpoint.expect(77, ("192.0.2.1", 161), reply)
    endpoint.datagram_received(forged, ("192.0.2.66", 161))
    assert not reply.done
    assert endpoint.strays.wrong_sender == 1
    endpoint.datagram_received(forged, ("192.0.2.1", 161))
    assert await reply.wait(1.0) == forged
    endpoint.forget(77)


# SNMPv3

LEVELS: list[tuple[AuthProtocol | None, PrivProtocol | None]] = [
    (None, None), ("md5", None), ("sha1", None), ("sha1", "aes128"), ("sha224", "aes128"),
    ("sha256", "aes128"), ("sha384", "aes256"), ("sha512", "aes256"), ("sha1", "aes256"),
]  # fmt: skip


def pair(auth: AuthProtocol | None, priv: PrivProtocol | None) -> tuple[User, AgentUser]:
    return (
        User("monitor", auth, "authpass1234" if auth else "", priv, "privpass1234" if priv else ""),
        AgentUser("monitor", auth or "", "authpass1234", priv or "", "privpass1234"),
    )


@pytest.mark.parametrize(("auth", "priv"), LEVELS)
async def test_v3_at_every_level(
    auth: AuthProtocol | None, priv: PrivProtocol | None, start: Start, connect: Connect
) -> None:
    ours, theirs = pair(auth, priv)
    agent = await start(users=(theirs,))
    session = connect(agent, Usm(ours))
    assert await column(session) == WANT
    assert session.requests == agent.seen.bulks + 1  # the report that tells the engine tells its clock too


async def test_v3_follows_a_reboot(start: Start, connect: Connect) -> None:
    ours, theirs = pair("sha256", "aes128")
    agent = await start(users=(theirs,))
    session = connect(agent, Usm(ours))
    await column(session)
    agent.engine.reboot()
    assert await column(session) == WANT
    agent.engine.engine_id = b"\x80\x00\x1f\x88\x04exchanged"
    agent.engine._keys.clear()
    assert await column(session) == WANT


@pytest.mark.parametrize(
    ("user", "words"),
    [
        (User("nobody", "sha1", "authpass1234", "aes128", "privpass1234"), "does not know the user"),
        (User("monitor", "sha1", "authpassWRONG", "aes128", "privpass1234"), "authentication password"),
        (User("monitor", "sha256", "authpass1234", "aes128", "privpass1234"), "authentication password"),
        (User("monitor", "sha1", "authpass1234", "aes128", "privpassWRONG"), "privacy password"),
        (User("monitor", "sha1", "authpass1234"), "security level"),
    ],
)
async def test_v3_says_what_the_device_did_not_like(user: User, words: str, start: Start, connect: Connect) -> None:
    agent = await start(users=(pair("sha1", "aes128")[1],))
    with pytest.raises(AuthFailed, match=words):
        await connect(agent, Usm(user)).hello()


async def test_v3_refuses_a_forged_reply(start: Start, connect: Connect) -> None:
    ours, theirs = pair("sha1", "aes128")
    agent = await start(users=(theirs,))
    usm = Usm(ours)
    session = connect(agent, usm)
    await session.hello()
    agent.engine.users = (AgentUser("monitor", "sha1", "forger-password", "aes128", "privpass1234"),)
    honest = agent.engine.open
    agent.engine.users = (theirs,)
    request = usm.wrap(5, ber.encode_pdu(ber.GET, 5, 0, 0, ber.encode_varbind(SYS_UP_TIME)))
    incoming = honest(request)
    forger = AgentUser("monitor", "sha1", "forger-password", "aes128", "privpass1234")
    reply = agent.engine.seal(
        ber.encode_pdu(ber.RESPONSE, 5, 0, 0, b""),
        type(incoming)(incoming.pdu, incoming.message_id, forger, incoming.flags),
    )
    with pytest.raises(AuthFailed, match="not signed"):
        usm.unwrap(reply)
    unsigned = type(incoming)(incoming.pdu, incoming.message_id, AgentUser("monitor"), 0)
    with pytest.raises(Malformed, match="lower security level"):
        usm.unwrap(agent.engine.seal(ber.encode_pdu(ber.RESPONSE, 5, 0, 0, b""), unsigned))


def test_v3_passwords_are_long_enough_and_never_shown() -> None:
    with pytest.raises(AuthFailed, match="8 characters"):
        Usm(User("monitor", "sha1", "short"))
    assert "authpass" not in repr(User("monitor", "sha1", "authpass1234"))


# net-snmp reads the fake agent as opticd does: neither of the two shares a line with it

needs_netsnmp = pytest.mark.skipif(
    shutil.which("snmpbulkwalk") is None, reason="the Debian package snmp is missing"
)


async def netsnmp(*arguments: str) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        "snmpbulkwalk", "-On", "-Oe", "-Ot", "-OU", "-m", "", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode().splitlines()


@needs_netsnmp
@pytest.mark.parametrize(
    ("auth", "priv", "level"),
    [
        ("sha1", "aes128", ("-v2c", "-c", "public")),
        ("sha1", "aes128", ("-v3", "-l", "authPriv", "-a", "SHA", "-x", "AES")),
        ("sha512", "aes256", ("-v3", "-l", "authPriv", "-a", "SHA-512", "-x", "AES-256")),
    ],
    ids=["v2c", "v3 SHA-1 AES-128", "v3 SHA-512 AES-256"],
)
async def test_net_snmp_walks_the_fake_agent_to_the_same_rows(
    auth: AuthProtocol, priv: PrivProtocol, level: tuple[str, ...], start: Start, connect: Connect
) -> None:
    agent = await start(users=(pair(auth, priv)[1],))
    user = ("-u", "monitor", "-A", "authpass1234", "-X", "privpass1234")
    lines = await netsnmp(*level, *user, f"127.0.0.1:{agent.port}", ".".join(map(str, COLUMN)))
    theirs = {(int(line.split(" = ")[0].rpartition(".")[2]),): int(line.rpartition(" ")[2]) for line in lines}
    assert theirs == await column(connect(agent)) == WANT


async def test_a_recording_is_walked_to_the_rows_of_its_file(
    shared_data: Path, start: Start, connect: Connect
) -> None:
    rows = snmp_recording.load(shared_data / "snmp" / "arista_eos_vrf.snmprec")
    session = connect(await start(rows))
    for oid in {row.oid[:-1] for row in rows if row.oid[:7] == (1, 3, 6, 1, 2, 1, 99)}:
        want = {row.oid[len(oid) :]: row.value for row in rows if row.oid[: len(oid)] == oid}
        assert await column(session, oid) == want
