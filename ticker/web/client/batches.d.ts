/** Names in batches that each fit into one request. */
/**
 * Names in batches whose texts each fit into so many bytes.
 * @param {string[]} names
 * @param {number} room
 */
export declare function batches(names: string[], room: number): string[][];
