// Generates code from the SDL that accountd prints, or from the introspection of a running server at SCHEMA_URL. Both
// must give the same.
const generates = {
	preset: "client",
	documents: "codegen/main.ts",
	presetConfig: { fragmentMasking: false },
	config: {
		documentMode: "string",
		strictScalars: true,
		useTypeImports: true,
		scalars: {
			DateTime: "string",
			ExpectedErrorType: "Record<string, { message: string; code: string }[]>",
			GenericScalar: "Record<string, unknown>",
		},
	},
};

export default {
	silent: true,
	importExtension: ".js",
	generates: {
		"generated/codegen/": { ...generates, schema: "generated/plain.graphql" },
		"generated/codegen-introspection/": { ...generates, schema: process.env.SCHEMA_URL },
	},
};
