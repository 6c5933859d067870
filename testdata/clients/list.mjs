// Prints the list of tested clients and compares docs/clients.md with it. A program in any language adds an item by
// printing one line, "name | version | steps | ok". Usage: node list.mjs RUN < lines. RUN is the script that ran the
// programs, for example "testdata/clients/run". Its list is the one under "<!-- rows of RUN -->".
import { readFileSync } from "node:fs";

const run = process.argv[2];
const rows = readFileSync(0, "utf8").split("\n").filter((line) => line !== "");
const torn = rows.filter((row) => row.split("|").length !== 4 || !row.endsWith(" | ok"));
if (rows.length === 0 || torn.length > 0) {
	console.error(`${run}: rows are "name | version | steps | ok", not:\n${torn.join("\n")}`);
	process.exit(1);
}

// wrap breaks a list item between words, at 98 columns.
const wrap = (text) => text.split(" ").reduce((lines, word) => {
	const line = `${lines.at(-1)} ${word}`;
	return line.length > 98 ? [...lines, `  ${word}`] : [...lines.slice(0, -1), line];
}, ["-"]).join("\n");

const item = (row) => {
	const [name, version, steps] = row.split(" | ");
	return wrap(`**${name}** ${version}: ${steps}`);
};
const list = rows.map(item).join("\n");
console.log(list);

const document = readFileSync(new URL("../../docs/clients.md", import.meta.url), "utf8");
const [, behind, ...more] = document.split(`<!-- rows of ${run} -->\n`);
const documented = /^\n*((?:(?:- |  ).*\n)*)/.exec(behind ?? "")[1].trimEnd();
if (documented !== list || more.length > 0) {
	console.error(`docs/clients.md has another list under "<!-- rows of ${run} -->":\n${documented}`);
	console.error("Put the list there that is printed above.");
	process.exit(1);
}
