// Maps the records of a file again and again, text to text, with npm's jsonata, and prints one JSON object with the rate.
import { readFileSync } from "node:fs";
import jsonata from "jsonata";

const [expression, records, seconds] = process.argv.slice(2);
const mapping = jsonata(readFileSync(expression, "utf8"));
const lines = readFileSync(records, "utf8").trimEnd().split("\n");
let first;
let count = 0;
let size = 0;
const began = performance.now();
while (performance.now() - began < Number(seconds) * 1000) {
  for (const line of lines) {
    const text = JSON.stringify(await mapping.evaluate(JSON.parse(line)));
    first ??= text;
    size += text.length;
    count += 1;
  }
}
const rate = count / ((performance.now() - began) / 1000);
if (size === 0) throw new Error("nothing was mapped");
console.log(JSON.stringify({ records_per_second: rate, first: JSON.parse(first) }));
