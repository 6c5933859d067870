// Every audit of the graphql-http package (MUST, SHOULD and MAY) has to pass on both endpoints.
import { serverAudits } from 'graphql-http';

const base = process.argv[2];
let passed = 0;
let failed = 0;
for (const path of ['/graphql', '/relay']) {
  for (const audit of serverAudits({ url: base + path })) {
    const result = await audit.fn();
    if (result.status === 'ok') {
      passed++;
    } else {
      failed++;
      console.log(`${path} ${audit.id} ${audit.name}: ${result.status}: ${result.reason}`);
    }
  }
}
console.log(`audits: ${passed} passed, ${failed} failed`);
process.exit(failed || passed !== 2 * 61 ? 1 : 0);
