// Which golden check fails first for each of several clients: `node wrong.mjs FOLDER COUNT GOLDEN`, with the clients in FOLDER/0, FOLDER/1, ...

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { checks } from "./golden.mjs";

const [folder, count, file] = process.argv.slice(2);
const golden = JSON.parse(readFileSync(file, "utf8"));

async function firstFailure(number) {
  const client = await import(pathToFileURL(`${folder}/${number}/ticker.js`));
  for (const [name, check] of checks(client, golden, ["msgpack"])) {
    try {
      check();
    } catch {
      return name;
    }
  }
  return null;
}

const found = [];
for (let number = 0; number < Number(count); number++) found.push(await firstFailure(number));
console.log(JSON.stringify(found));
