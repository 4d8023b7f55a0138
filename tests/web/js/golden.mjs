// The golden frames of PROTOCOL.md, section 9, as checks that run wherever the client does: in Node and in a page.

const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (each) => parseInt(each, 16));
const payload = (frame, form) => (form === "json" ? frame.json : bytes(frame.msgpack));

/** A value as a text that does not depend on the order of keys. */
function canonical(value) {
  if (value instanceof Map) return canonical(Object.fromEntries(value));
  if (Array.isArray(value)) return `[${value.map(canonical)}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "undefined";
  const entries = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${entries}}`;
}

function assertSame(actual, expected, name) {
  const [found, stated] = [actual, expected].map(canonical);
  if (found !== stated) throw new Error(`${name}: ${found} is not ${stated}`);
}

function refuses(deed, TickerError) {
  try {
    deed();
  } catch (error) {
    if (error instanceof TickerError) return;
    throw error;
  }
  throw new Error("it was taken");
}

/** Each check as [name, function that throws if it fails]. `client` is the module, `golden` the content of the file. */
export function* checks({ ClientSession, TickerError, decode }, { conversation, refused }) {
  const begun = (form) => {
    const session = new ClientSession();
    session.want(["*"]);
    session.begin(decode(payload(conversation[0], form)));
    assertSame(session.requests(), [{ op: "subscribe", id: 1, symbols: ["*"] }], "the request");
    return session;
  };
  const state = ({ replica }) => ({ cursor: replica.cursor, copy: replica.values() });

  for (const form of ["msgpack", "json"]) {
    yield [`each ${form} frame of the conversation leaves the copy and the cursor that it states`, () => {
      const session = begun(form);
      for (const frame of conversation.slice(1)) {
        session.receive(decode(payload(frame, form)));
        assertSame(state(session), { cursor: frame.cursor, copy: frame.copy }, frame.name);
      }
    }];
    for (const frame of refused.filter((each) => form in each)) {
      yield [`${frame.name}, as ${form}, is refused whole and leaves the copy as it was`, () => {
        const session = begun(form);
        for (const each of conversation.slice(1)) session.receive(decode(payload(each, form)));
        const before = state(session);
        refuses(() => session.receive(decode(payload(frame, form))), TickerError);
        assertSame(state(session), before, frame.name);
      }];
    }
  }
  for (const frame of conversation) {
    yield [`${frame.name} means the same in both encodings`, () => {
      assertSame(decode(payload(frame, "msgpack")), decode(payload(frame, "json")), frame.name);
    }];
  }
}
