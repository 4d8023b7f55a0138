/** The checksum of a copy, which has to be the server's at the same cut (PROTOCOL.md, section 5). */
/**
 * CRC-32 of a text in UTF-8.
 * @param {string} text
 */
export declare function crc32(text: string): number;
/**
 * The checksum of one record: of its id, its scales and its present fields as on the wire, rows in their order.
 * @param {import("./messages.js").Definition} definition
 * @param {Map<number | string, unknown>} fields
 */
export declare function recordChecksum({ id, priceScale, sizeScale }: import("./messages.js").Definition, fields: Map<number | string, unknown>): number;
/**
 * The checksum of a copy from those of its records.
 * @param {Iterable<number>} checksums
 */
export declare function total(checksums: Iterable<number>): number;
