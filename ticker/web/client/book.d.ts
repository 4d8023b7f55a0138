/** An order book: its best levels, always of one moment. */
import { TableReader } from "./table_reader.js";
export type Fields = import("./fields.js").Fields;
export type Replica = import("./replica.js").Replica;
export type Level = import("./rows.js").Level;
export type BookEvent = Event & {
    book: Book;
};
/**
 * The best levels of an instrument's order book. Made by `Client.book`.
 *
 * Listen to `change`, or iterate: the loop runs once at first, and again after each change of a level or of the status. A
 * loop that is too slow for that skips moments, and always sees the present one.
 * @extends {TableReader<Book, {change: BookEvent}>}
 */
export declare class Book extends TableReader<Book, {
    change: BookEvent;
}> {
    #private;
    /**
     * Price and size at which there are buyers, the highest price first: the same array until a level of it changes.
     * @type {readonly Level[]}
     */
    bids: readonly Level[];
    /**
     * Price and size at which there are sellers, the lowest price first: the same array until a level of it changes.
     * @type {readonly Level[]}
     */
    asks: readonly Level[];
    /**
     * @param {Replica} copy
     * @param {string} symbol
     * @param {number} depth
     * @param {(reader: Book) => void} closed
     */
    constructor(copy: Replica, symbol: string, depth: number, closed: (reader: Book) => void);
}
