// The golden frames in Node.

import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as client from "../../../ticker/web/ticker.js";
import { checks } from "./golden.mjs";

const golden = JSON.parse(readFileSync(new URL("../../golden_frames.json", import.meta.url), "utf8"));
for (const [name, check] of checks(client, golden)) test(name, check);
