// Mounts GraphiQL on one of the two endpoints, with a tab for each step of the first conversation.
const root = document.getElementById('graphiql');
const { endpoint, tabs, other, otherName, mail } = root.dataset;
const h = React.createElement;

// Each endpoint keeps its own tabs, and only until the browser's tab is closed: what is typed here has passwords and
// tokens in it, and GraphiQL's history keeps headers whatever shouldPersistHeaders says.
const kept = window.sessionStorage;
const own = (key) => endpoint + ':' + key;
const storage = {
  getItem: (key) => kept.getItem(own(key)),
  setItem: (key, value) => kept.setItem(own(key), value),
  removeItem: (key) => kept.removeItem(own(key)),
  clear: () => Object.keys(kept).filter((key) => key.startsWith(endpoint + ':')).forEach((key) => kept.removeItem(key)),
  get length() { return kept.length; },
};

ReactDOM.createRoot(root).render(
  h(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: endpoint }),
    storage,
    defaultTabs: JSON.parse(tabs),
    defaultEditorToolsVisibility: 'headers',
    shouldPersistHeaders: false,
    inputValueDeprecation: true,
    schemaDescription: true,
  }, h(GraphiQL.Logo, null, 'accountd',
    mail && h('a', { className: 'link', href: mail, target: '_blank' }, 'Mail'),
    h('a', { className: 'link', href: other }, otherName))),
);
