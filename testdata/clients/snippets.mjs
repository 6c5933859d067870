// Compares docs/clients.md with the tested programs: the text of each block "```language FILE" is in FILE of this folder.
import { readFileSync } from "node:fs";

const document = readFileSync(new URL("../../docs/clients.md", import.meta.url), "utf8");
const snippets = [...document.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)];
const foreign = snippets.filter(([, file, text]) => !readFileSync(new URL(file, import.meta.url), "utf8").includes(text));
for (const [, file, text] of foreign) console.error(`docs/clients.md shows what is not in testdata/clients/${file}:\n${text}`);
if (snippets.length === 0 || foreign.length > 0) process.exit(1);
