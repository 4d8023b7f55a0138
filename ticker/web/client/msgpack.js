/**
 * The part of msgpack that the protocol uses (PROTOCOL.md, section 3).
 *
 * Maps become Maps. A float becomes a Number object, so that 5.0 never passes for the integer 5. An integer of 2**53 or
 * more is refused wherever it stands. Invalid bytes raise a TickerError, whatever they are.
 */

import { malformed } from "./errors.js";

const MAX_DEPTH = 1024;
const SHORT_TEXT = 24;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
    this.depth = 0;
  }

  /** @returns {unknown} */
  value() {
    const at = this.take(1);
    const first = this.bytes[at];
    if (first < 0x80) return first;
    if (first >= 0xe0) return first - 256;
    if (first < 0x90) return this.map(first & 15);
    if (first < 0xa0) return this.array(first & 15);
    if (first < 0xc0) return this.text(first & 31);
    const { view } = this;
    switch (first) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return this.binary(view.getUint8(this.take(1)));
      case 0xc5: return this.binary(view.getUint16(this.take(2)));
      case 0xc6: return this.binary(view.getUint32(this.take(4)));
      case 0xca: return Object(view.getFloat32(this.take(4)));
      case 0xcb: return Object(view.getFloat64(this.take(8)));
      case 0xcc: return view.getUint8(this.take(1));
      case 0xcd: return view.getUint16(this.take(2));
      case 0xce: return view.getUint32(this.take(4));
      case 0xcf: return this.long(view.getUint32(this.take(4)));
      case 0xd0: return view.getInt8(this.take(1));
      case 0xd1: return view.getInt16(this.take(2));
      case 0xd2: return view.getInt32(this.take(4));
      case 0xd3: return this.long(view.getInt32(this.take(4)));
      case 0xd9: return this.text(view.getUint8(this.take(1)));
      case 0xda: return this.text(view.getUint16(this.take(2)));
      case 0xdb: return this.text(view.getUint32(this.take(4)));
      case 0xdc: return this.array(view.getUint16(this.take(2)));
      case 0xdd: return this.array(view.getUint32(this.take(4)));
      case 0xde: return this.map(view.getUint16(this.take(2)));
      case 0xdf: return this.map(view.getUint32(this.take(4)));
      default: throw malformed(`not msgpack: 0x${first.toString(16)} is not used in this protocol`);
    }
  }

  /**
   * Consume bytes and return the offset of the first. Checks the size before any memory is allocated for it.
   * @param {number} size
   */
  take(size) {
    const { at } = this;
    if (size > this.bytes.length - at) throw malformed("not msgpack: it is cut off");
    this.at = at + size;
    return at;
  }

  /** @param {number} high */
  long(high) {
    const value = high * 2 ** 32 + this.view.getUint32(this.take(4));
    if (!Number.isSafeInteger(value)) throw malformed("an integer of 2**53 or more");
    return value;
  }

  /** @param {number} size */
  binary(size) {
    const at = this.take(size);
    return this.bytes.slice(at, at + size);
  }

  /**
   * Short ASCII texts are read byte by byte: many times as fast as TextDecoder.
   * @param {number} size
   */
  text(size) {
    const at = this.take(size);
    if (size >= SHORT_TEXT) return this.unicode(at);
    let text = "";
    for (let index = at; index < this.at; index++) {
      const byte = this.bytes[index];
      if (byte >= 0x80) return this.unicode(at);
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** @param {number} at */
  unicode(at) {
    try {
      return utf8.decode(this.bytes.subarray(at, this.at));
    } catch {
      throw malformed("a text that is not UTF-8");
    }
  }

  /** @param {number} length */
  array(length) {
    this.enter(length);
    /** @type {unknown[]} */
    const array = [];
    for (let index = 0; index < length; index++) array.push(this.value());
    this.depth--;
    return array;
  }

  /** @param {number} length */
  map(length) {
    this.enter(2 * length);
    /** @type {Map<unknown, unknown>} */
    const map = new Map();
    for (let index = 0; index < length; index++) {
      const key = this.value();
      if (key instanceof Map || Array.isArray(key)) throw malformed("a map whose key is an array or a map");
      map.set(key, this.value());
    }
    this.depth--;
    return map;
  }

  /** @param {number} items */
  enter(items) {
    if (items > this.bytes.length - this.at) throw malformed("not msgpack: a length that lies");
    if (++this.depth > MAX_DEPTH) throw malformed("not msgpack: it is nested too deep");
  }
}

/**
 * Decode one value that fills all the bytes.
 * @param {Uint8Array} bytes
 * @returns {unknown}
 */
export function unpack(bytes) {
  const reader = new Reader(bytes);
  const value = reader.value();
  if (reader.at !== bytes.length) throw malformed("not msgpack: something is behind the message");
  return value;
}

/**
 * Number of bytes of a text in UTF-8.
 * @param {string} text
 */
export const utf8Length = (text) => encoder.encode(text).length;

/**
 * Encode a request: a map of texts to integers, texts and arrays of texts.
 * @param {object} request
 * @returns {Uint8Array}
 */
export function encode(request) {
  /** @type {number[]} */
  const bytes = [];
  /** @param {number} value @param {number} size */
  const bigEndian = (value, size) => {
    for (let shift = size - 1; shift >= 0; shift--) bytes.push(Math.floor(value / 256 ** shift) % 256);
  };
  /** @param {unknown} value */
  const pack = (value) => {
    if (typeof value === "number") {
      if (value < 0x80) bytes.push(value);
      else bytes.push(0xcf), bigEndian(value, 8);
    } else if (typeof value === "string") {
      const text = encoder.encode(value);
      if (text.length < 32) bytes.push(0xa0 | text.length);
      else bytes.push(0xdb), bigEndian(text.length, 4);
      for (const byte of text) bytes.push(byte);
    } else if (Array.isArray(value)) {
      bytes.push(0xdd), bigEndian(value.length, 4);
      value.forEach(pack);
    } else {
      const entries = Object.entries(/** @type {object} */ (value));
      bytes.push(0x80 | entries.length);
      entries.flat(1).forEach(pack);
    }
  };
  pack(request);
  return Uint8Array.from(bytes);
}
