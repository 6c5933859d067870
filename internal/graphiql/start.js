// Mounts GraphiQL on one of the two endpoints, with a tab for each step of the first conversation.
const root = document.getElementById('graphiql');
const { endpoint, tabs, other, otherName } = root.dataset;
const h = React.createElement;

// Each endpoint keeps its own tabs.
const own = (key) => endpoint + ':' + key;
const storage = {
  getItem: (key) => localStorage.getItem(own(key)),
  setItem: (key, value) => localStorage.setItem(own(key), value),
  removeItem: (key) => localStorage.removeItem(own(key)),
  clear: () => Object.keys(localStorage).filter((key) => key.startsWith(endpoint + ':')).forEach((key) => localStorage.removeItem(key)),
  get length() { return localStorage.length; },
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
  }, h(GraphiQL.Logo, null, 'accountd', h('a', { className: 'flavour', href: other }, otherName))),
);
