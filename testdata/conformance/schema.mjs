// Builds schemas from the introspection answers with graphql-js, compares them with the SDL, and looks for changes that
// break clients of the contract.
import fs from 'node:fs';
import path from 'node:path';
import {
  buildClientSchema, buildSchema, findBreakingChanges, findDangerousChanges, getIntrospectionQuery, printSchema, validateSchema,
} from 'graphql';

const [base, contract] = process.argv.slice(2);
const switches = ['descriptions', 'specifiedByUrl', 'directiveIsRepeatable', 'schemaDescription', 'inputValueDeprecation', 'experimentalDirectiveDeprecation', 'oneOf'];
const optionSets = [{}, ...switches.map((s) => ({ [s]: true })), Object.fromEntries(switches.map((s) => [s, true]))];
let failures = 0;

function expect(ok, what) {
  if (!ok) {
    failures++;
    console.log(`FAIL ${what}`);
  }
}

async function ask(url, query) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json' },
    body: JSON.stringify({ query }),
  });
  return response.json();
}

for (const [endpoint, file] of [['/graphql', 'plain.graphql'], ['/relay', 'relay.graphql']]) {
  let live;
  const printed = new Set();
  for (const options of optionSets) {
    const label = `${endpoint} introspection ${JSON.stringify(options)}`;
    const answer = await ask(base + endpoint, getIntrospectionQuery(options));
    expect(!answer.errors, `${label}: ${JSON.stringify(answer.errors)}`);
    if (answer.errors) continue;
    live = buildClientSchema(answer.data);
    const problems = validateSchema(live);
    expect(problems.length === 0, `${label}: ${problems}`);
    if (options.descriptions !== false && Object.keys(options).length === switches.length) {
      printed.add(printSchema(live));
      printed.add(printSchema(buildClientSchema((await ask(base + endpoint, getIntrospectionQuery(options))).data)));
    }
  }
  expect(printed.size === 1, `${endpoint}: the schema differs from one answer to the next`);

  const promised = buildSchema(fs.readFileSync(path.join(contract, file), 'utf8'));
  for (const change of [...findBreakingChanges(promised, live), ...findDangerousChanges(promised, live)]) {
    expect(false, `${endpoint} breaks the contract: ${change.type} ${change.description}`);
  }
  console.log(`${endpoint}: ${optionSets.length} introspection queries, no breaking and no dangerous change`);
}
process.exit(failures ? 1 : 0);
