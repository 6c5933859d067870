package accounts

// FieldType is the GraphQL type of a field's values.
type FieldType string

// The types of fields.
const (
	String   FieldType = "String"
	Int      FieldType = "Int"
	Float    FieldType = "Float"
	Boolean  FieldType = "Boolean"
	DateTime FieldType = "DateTime"
)

// Field is a further field of every account, as a site configures it.
type Field struct {
	Name      string // as in "phone_number"; phoneNumber in the API
	Type      FieldType
	MaxLength int    // of a String, in code points; 0: the longest that is allowed
	Pattern   string // that a whole String has to match; "": any
	Choices   []any  // string, int64 or float64, as Type has it; none: any value
	Unique    bool
	Public    bool // shown in UserNode and to templates
}
