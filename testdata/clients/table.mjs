// Prints the table of what has run and holds docs/clients.md to it. Any program, in any language, adds a row by printing one
// line, "name | version | steps | ok". Usage: node table.mjs RUN < lines, where RUN is the script that ran the programs, as in
// "testdata/clients/run": its table is the one under "<!-- rows of RUN -->".
import { readFileSync } from "node:fs";

const run = process.argv[2];
const rows = readFileSync(0, "utf8").split("\n").filter((line) => line !== "");
const torn = rows.filter((row) => row.split("|").length !== 4 || !row.endsWith(" | ok"));
if (rows.length === 0 || torn.length > 0) {
	console.error(`${run}: rows are "name | version | steps | ok", not:\n${torn.join("\n")}`);
	process.exit(1);
}
const table = ["| client | version | steps | result |", "| --- | --- | --- | --- |", ...rows.map((row) => `| ${row} |`)].join("\n");
console.log(table);

const document = readFileSync(new URL("../../docs/clients.md", import.meta.url), "utf8");
const [, behind, ...more] = document.split(`<!-- rows of ${run} -->\n`);
const documented = /^\n*((?:\|.*\n)*)/.exec(behind ?? "")[1].trimEnd();
if (documented !== table || more.length > 0) {
	console.error(`docs/clients.md has another table under "<!-- rows of ${run} -->":\n${documented}\nPut the one there that is printed above.`);
	process.exit(1);
}
