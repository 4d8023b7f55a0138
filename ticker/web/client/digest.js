/** The checksum of a copy, which has to be the server's at the same cut (PROTOCOL.md, section 5). */

const MODULUS = 2 ** 32;
const POLYNOMIAL = 0xedb88320;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value;
});

const encoder = new TextEncoder();

/**
 * CRC-32 of a text in UTF-8.
 * @param {string} text
 */
export function crc32(text) {
  let value = 0xffffffff;
  for (const byte of encoder.encode(text)) value = CRC_TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/**
 * Integer keys come in ascending order, then names, which are ASCII.
 * @param {number | string} one
 * @param {number | string} other
 */
function byKey(one, other) {
  if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
  return one < other ? -1 : 1;
}

/**
 * The checksum of one record: of its id, its scales and its present fields as on the wire, rows in their order.
 * @param {import("./messages.js").Definition} definition
 * @param {Map<number | string, unknown>} fields
 */
export function recordChecksum({ id, priceScale, sizeScale }, fields) {
  const parts = [...fields.keys()].sort(byKey).flatMap((key) => [key, fields.get(key)]);
  return crc32(JSON.stringify([id, priceScale, sizeScale, parts]));
}

/**
 * The checksum of a copy from those of its records.
 * @param {Iterable<number>} checksums
 */
export function total(checksums) {
  let sum = 0;
  for (const each of checksums) sum = (sum + each) % MODULUS;
  return sum;
}
