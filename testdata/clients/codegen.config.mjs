// From the SDL that accountd prints, and once more from the introspection of a running server, named by SCHEMA_URL: the
// same must come of both.
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
