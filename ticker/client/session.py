"""The client's side of a conversation, as a state machine: payloads go in and out. No sockets, no clocks.

The rules:

1. The user subscribes to names: symbols, tables and patterns. A name goes from *wanted* to *requested* (on this
   connection) to *confirmed* (its reply came, so the copy holds all of it).
2. On a new connection to the same epoch, confirmed names are resumed from the copy's cursor in the first request
   (`ticker.client.resume` decides). The others are subscribed.
3. The server says what enters the copy and what leaves it, in the order of its messages. So a name that is given up
   and wanted again can be requested at once.
4. A name whose fields have changed is requested again: until its reply came, nobody can tell which the copy has.
5. What leaves the copy is reported as withdrawn at once, also when the copy starts afresh; its values may come again.
   `Subscription` holds both back until they are one moment.
"""

from __future__ import annotations

from collections.abc import Iterable, KeysView
from typing import Any

from ticker.client.events import Refused
from ticker.client.features import Features, features_of
from ticker.client.questions import Questions
from ticker.client.received import Received
from ticker.client.replica import InstrumentState, Replica, State
from ticker.client.requested import batches, by_fields
from ticker.client.results import Admission, Digest, check_epoch, converted, refused_names
from ticker.client.resume import max_request_bytes, may_resume
from ticker.client.wanted import FieldSet, WantedNames, covers
from ticker.errors import Code, ProtocolError
from ticker.protocol.messages import (
    Delta,
    Error,
    Expiring,
    Goodbye,
    Heartbeat,
    Instruments,
    Removed,
    Reply,
    Snapshot,
    Source,
    Welcome,
    parse_server_message,
)
from ticker.protocol.wire import Encoding
from ticker.texts import excerpt


class ClientSession:
    """One client over all its connections."""

    def __init__(self, encoding: Encoding, interval_ms: int | None = None) -> None:
        """`interval_ms` asks for at most one frame per so many milliseconds."""
        self.replica = Replica()
        self.heartbeat_seconds = 0.0
        """Interval at which the server gives a sign of life; 0 if it gives none."""
        self.limits: dict[str, int] = {}
        """Limits of the latest connection, as its WELCOME or the reply to `auth` told them."""
        self.features = Features()
        """What the service of the latest connection offers."""
        self.questions = Questions()
        self.servers = 1
        """Number of servers among which the client can choose."""
        self.source_silent_since: int | None = None
        """Time since when the server of the latest connection hears nothing from its source, in microseconds."""
        self._encoding = encoding
        self._interval_ms = interval_ms
        self._wanted = WantedNames()
        self._requested: dict[str, FieldSet] = {}
        self._in_sync: bool | None = None
        """Whether the requested names and fields are the wanted ones; None until it is needed."""
        self._declined: set[str] = set()
        """Names that the server declined on this connection."""
        self._confirmed: set[str] = set()
        self._answered: set[str] = set()
        """Names for which the server has answered on this connection, in whatever way."""
        self._failed: set[str] = set()
        """Names of requests that were refused whole on this connection."""
        self._altered: set[str] = set()
        """Names without a reply that the server had before, with other fields."""
        self._touched: set[str] = set()
        """Names that may have brought something into the copy, and of which the server has not said that it left."""
        self._refusals = 0
        """Messages that this client has refused since the last REPLY."""
        self._behind = 0
        """Servers that were behind the copy since the last REPLY."""
        self._resume_first = False
        self._resume_id: int | None = None
        self._token_id: int | None = None
        self._digest_id: int | None = None
        self._verify = False
        """Whether the copy's checksum is wanted."""
        self._unanswered: dict[int, set[str]] = {}
        self._giving_up: dict[int, set[str]] = {}
        """Names of unsubscribes without a reply, by the request."""
        self._last_id = 0
        self._welcome: Welcome | None = None
        self._heartbeat: Heartbeat | None = None
        """The latest one of this connection: a copy that cannot be resumed begins at its cut."""
        self._withdrawn: list[State] = []
        """Records that left the copy, until a message reports them."""

    def __repr__(self) -> str:
        names = f"wanted={len(self._wanted)} requested={len(self._requested)} confirmed={len(self._confirmed)}"
        return f"<ClientSession {names} unanswered={len(self._unanswered)} cursor={self.replica.cursor}>"

    @property
    def complete(self) -> bool:
        """Whether the copy holds everything that is wanted and that the server has."""
        return not self._unanswered and self.in_sync

    @property
    def in_sync(self) -> bool:
        """Whether the requested names are the wanted ones; compared only after either has changed."""
        if self._in_sync is None:
            self._in_sync = self._requested == self._target()
        return self._in_sync

    @property
    def has_requests(self) -> bool:
        """Whether `requests` would subscribe or unsubscribe names now."""
        return not self.in_sync

    @property
    def names(self) -> KeysView[str]:
        """The wanted names."""
        return self._wanted.names

    def has_all_of(self, names: Iterable[str], fields: FieldSet = None) -> bool:
        """Return whether the server has answered for these names, so the copy has these fields of them."""
        names = list(names)
        return self._answered.issuperset(names) and all(covers(self._requested.get(name), fields) for name in names)

    def kept_names(self) -> set[str]:
        """Return the names that the server keeps, which may be without an instrument so far."""
        return (self._answered & self._wanted.names) - self._declined - self._failed

    def add_names(self, names: Iterable[str], fields: FieldSet = None) -> None:
        """Subscribe to names, or to some fields of what they match; one that is added twice has to be removed twice."""
        self._wanted.add(names, fields)
        self._in_sync = None

    def remove_names(self, names: Iterable[str], fields: FieldSet = None) -> None:
        """Take an `add_names` back."""
        self._wanted.remove(names, fields)
        self._in_sync = None

    def _target(self) -> dict[str, FieldSet]:
        """Return the fields to ask for by name.

        These are at most half as many sets of fields as the server takes: while some names have their new fields, the
        others still have the former.
        """
        return self._wanted.by_name(self.features.fields // 2)

    def begin(self, payload: bytes | str) -> Welcome:
        """Begin a connection with its first payload. Raises `ProtocolError` if that is not WELCOME.

        If the copy starts afresh, `take_withdrawn` reports the records that it had.
        """
        message = parse_server_message(self._encoding.decode_message(payload))
        if not isinstance(message, Welcome):
            raise ProtocolError(Code.MALFORMED, "the first message of a connection is WELCOME")
        check_epoch(message.epoch)
        self.features = features_of(message.features)
        self._welcome, self._heartbeat = message, None
        self.limits = message.limits
        self.heartbeat_seconds = message.heartbeat_ms / 1000
        for of_the_last_connection in (self._unanswered, self._giving_up, self._declined, self._answered, self._failed):
            of_the_last_connection.clear()
        self._resume_id = self._token_id = self._digest_id = self.source_silent_since = None
        self._altered.clear()
        self.questions.begin()
        self._confirmed &= self._wanted.names
        self._set_requested({name: self._requested[name] for name in sorted(self._confirmed)})
        kept = list(self.replica)
        request = self._encoding.encode_request({"op": "resume", "id": 2**53, **self._resume()})
        resumable = may_resume(self.replica, message, self._confirmed, request, self._refusals)
        resumable = resumable and (self.features.fields > 0 or not any(self._requested.values()))
        self._resume_first = self.replica.welcome(message, resumable=resumable)
        if not self._resume_first:
            self._withdrawn += kept
            self._start_afresh({})
        return message

    def forget_copy(self) -> None:
        """Have the copy start afresh on the next connection."""
        self._confirmed.clear()

    def take_withdrawn(self) -> Received:
        """Return the records that left the copy when it started afresh as changes."""
        withdrawn, self._withdrawn = self._withdrawn, []
        received = Received()
        received.withdraw(withdrawn)
        return received

    def requests(self) -> list[bytes | str]:
        """Return the payloads to send, so that the names on the server become the wanted ones."""
        payloads: list[bytes | str] = []
        if self._resume_first:
            self._resume_first = False
            payloads.append(self._request("resume", **self._resume()))
            self._resume_id = self._last_id
        dropped, altered, added = [], [], []
        if not self.in_sync:
            before, wanted = self._requested, self._target()
            dropped = [name for name in before if name not in wanted]
            altered = [name for name in wanted if name in before and wanted[name] != before[name]]
            added = [*altered, *(name for name in wanted if name not in before)]
            kept = [name for name in before if name in wanted]
            self._set_requested({name: wanted[name] for name in [*kept, *added]})
        for names in (self._confirmed, self._answered, self._failed, self._declined, *self._unanswered.values()):
            names.difference_update(dropped, altered)
        self._altered = (self._altered - set(dropped)) | set(altered)
        most = max_request_bytes(self.limits)
        for batch in batches(dropped, {}, most, self._encoding):
            payloads.append(self._request("unsubscribe", symbols=batch))
            self._giving_up[self._last_id] = set(batch)
        self._touched.update(added)
        for fields, names_of in by_fields(added, self._requested):
            payloads += [
                self._request("subscribe", symbols=batch, **fields, **self._interval())
                for batch in batches(names_of, fields, most, self._encoding)
            ]
        if self._verify and self._digest_id is None:
            payloads.append(self._request("digest"))
            self._digest_id = self._last_id
        for question in self.questions.unsent():
            payloads.append(self._request(question.op, **question.request))
            self.questions.sent(question, self._last_id)
        return payloads

    def verify(self) -> None:
        """Have the copy compared with the server's: the next requests ask for its checksum."""
        self._verify = True

    def receive(self, payload: bytes | str) -> Received:
        """Process one message.

        Raises `ProtocolError` for one that breaks the protocol: the connection is then of no use any more, the copy is
        as it was, and a new connection can resume it.
        """
        try:
            return self._process(parse_server_message(self._encoding.decode_message(payload)))
        except ProtocolError:
            self._refusals += 1
            raise

    def authenticate(self, token: str) -> bytes | str:
        """Return the payload that presents a fresh token."""
        payload = self._request("auth", token=token)
        self._token_id = self._last_id
        return payload

    def _process(self, message: object) -> Received:
        received = Received()
        if isinstance(message, Snapshot | Delta):
            self._apply(message, received)
        elif isinstance(message, Removed):
            self._remove(message, received)
        elif isinstance(message, Instruments):
            self.replica.define(message)
        elif isinstance(message, Heartbeat):
            self._heartbeat = message
            self.replica.heartbeat(message)
            received.moved = True
        elif isinstance(message, Reply):
            self._process_reply(message, received)
        elif isinstance(message, Error):
            self._process_error(message, received)
        elif isinstance(message, Goodbye):
            received.goodbye = message
        elif isinstance(message, Source):
            received.source = message.since != self.source_silent_since
            self.source_silent_since = message.since
        elif isinstance(message, Expiring):
            received.expiring = True
        return received

    def _resume(self) -> dict[str, Any]:
        names, selected = [], []
        for fields, names_of in by_fields(self._requested, self._requested):
            if fields:
                selected.append([fields["fields"], names_of])
            else:
                names = names_of
        forget = sorted(self._touched - self._confirmed)
        request = {"epoch": self.replica.epoch, "cursor": self.replica.cursor, "symbols": names, **self._interval()}
        return {**request, **({"forget": forget} if forget else {}), **({"selected": selected} if selected else {})}

    def _apply(self, message: Snapshot | Delta, received: Received) -> None:
        received.moved = True
        received.changes = changes = {}
        for state, fields in self.replica.apply(message).items():
            if isinstance(state, InstrumentState):
                changes[state.definition.symbol] = state.fields(fields)
            else:
                received.tables.add(state.definition.symbol)

    def _remove(self, message: Removed, received: Received) -> None:
        received.withdraw(self.replica.remove(message))

    def _process_reply(self, message: Reply, received: Received) -> None:
        """Confirm the names of a request, but for the declined ones."""
        refused = refused_names(message.result)
        admission = converted(message.result, Admission, "auth") if message.id == self._token_id else None
        digest = converted(message.result, Digest, "digest") if message.id == self._digest_id else None
        if admission is not None and admission.epoch is not None:
            check_epoch(admission.epoch)
        names = self._unanswered.pop(message.id, set())
        self._touched -= self._giving_up.pop(message.id, set()) - self._requested.keys()
        self._refusals = self._behind = 0
        self.questions.answer(message.id, message.result)
        if message.id == self._resume_id:
            self._resume_id = None
            if gone := self.replica.resumed():
                received.withdraw(gone)
            self._touched &= self._requested.keys() | set().union(*self._giving_up.values())  # forgotten: the others
        # Names that the user gave up meanwhile, or never asked for, are not worth a word, nor any memory.
        received.refused = [each for each in refused if each.name in names]
        # The server keeps a symbol that it does not know yet: its values come when it appears.
        declined = {each.name for each in received.refused if each.code != Code.UNKNOWN_SYMBOL}
        self._confirmed = (self._confirmed | names) - declined
        self._altered -= names
        self._touched -= declined
        self._declined |= declined
        self._answered |= names
        received.answered = received.replied = True
        if admission is not None:
            self._admit(admission)
        if digest is not None:
            self._digest_id, self._verify = None, False
            if digest.cut == self.replica.cursor:
                received.verified = digest.digest == self.replica.digest()
            else:
                received.unverified = f"the service's checksum is that of cut {digest.cut}, not {self.replica.cursor}"

    def _admit(self, admission: Admission) -> None:
        """Take over what a fresh token has changed."""
        self._token_id = None
        if admission.epoch is not None:
            self.replica.epoch = admission.epoch
        if admission.limits is not None:
            self.limits = admission.limits

    def _process_error(self, message: Error, received: Received) -> None:
        """Refuse the names of a failed request; if it was the resume, start anew and request all names again."""
        received.error = message
        if message.id is None:
            return
        if message.id == self._token_id:
            received.token_refused = message.text
        if message.id == self._digest_id:
            self._digest_id, self._verify = None, False
            received.unverified = excerpt(message.text)
        self.questions.refuse(message.id, message.text)
        names = self._unanswered.pop(message.id, set())
        self._giving_up.pop(message.id, None)
        if self._welcome is not None and message.id == self._resume_id:
            self._resume_id = None
            self._behind += message.code == Code.WRONG_EPOCH
            received.behind = message.code == Code.WRONG_EPOCH and self._behind < self.servers
            if received.behind:
                return
            received.withdraw(self.replica)
            self.replica.welcome(self._welcome, resumable=False)
            if self._heartbeat is not None:
                self.replica.heartbeat(self._heartbeat)
            self._start_afresh({name: fields for name, fields in self._requested.items() if name not in names})
        else:
            received.refused = [Refused(name, message.code, excerpt(message.text)) for name in sorted(names)]
            self._failed |= names
            self._touched -= names - self._altered
            self._answered |= names
            received.answered = True

    def _start_afresh(self, requested: dict[str, FieldSet]) -> None:
        """The copy is empty; of the names on this connection only these are requested so far."""
        self._refusals = self._behind = 0
        for names in (self._confirmed, self._answered, self._declined, self._failed):
            names.clear()
        self._set_requested(requested)
        self._touched = set(requested)

    def _request(self, op: str, **request: Any) -> bytes | str:  # noqa: ANN401  # the fields of any request
        self._last_id += 1
        names = set(request["symbols"]) if op in {"subscribe", "resume"} else set()
        self._unanswered[self._last_id] = names.union(*(some for _, some in request.get("selected", ())))
        return self._encoding.encode_request({"op": op, "id": self._last_id, **request})

    def _interval(self) -> dict[str, int]:
        return {} if self._interval_ms is None else {"interval_ms": self._interval_ms}

    def _set_requested(self, requested: dict[str, FieldSet]) -> None:
        self._requested = requested
        self._in_sync = None
