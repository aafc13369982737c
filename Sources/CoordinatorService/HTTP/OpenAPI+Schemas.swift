/// What clients send.
extension OpenAPI {
    static let querySchemas = #"""
        "Condition": {"type": "object", "required": ["property", "op"], "additionalProperties": false, "properties": {
          "property": {"type": "string", "description": "Of the event, or user.<name> of the user."},
          "op": {"enum": ["=", "!=", ">", ">=", "<", "<=", "in", "not_in", "contains", "starts_with", "exists", "not_exists"]},
          "value": {"type": ["string", "number", "boolean", "array"]}
        }},
        "Where": {"type": "array", "maxItems": 20, "items": {"$ref": "#/components/schemas/Condition"}},
        "Duration": {"type": "string", "pattern": "^[0-9]+(us|ms|s|m|h|d)$", "examples": ["30d"]},
        "CountBy": {"type": "string", "description": "users, attempts, sessions or property:<name>", "default": "users"},
        "Step": {"oneOf": [{"type": "string"}, {"type": "object", "required": ["name"], "additionalProperties": false, "properties": {
          "name": {"type": "string"}, "events": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 256},
          "where": {"$ref": "#/components/schemas/Where"}, "optional": {"type": "boolean"},
          "window_duration": {"$ref": "#/components/schemas/Duration"}
        }}]},
        "Exclusion": {"type": "object", "required": ["events", "after", "before"], "additionalProperties": false, "properties": {
          "events": {"type": "array", "items": {"type": "string"}}, "where": {"$ref": "#/components/schemas/Where"},
          "after": {"type": "integer", "minimum": 1}, "before": {"type": "integer", "minimum": 2},
          "effect": {"enum": ["end_attempt", "drop_user"]}
        }},
        "Definition": {"type": "object", "required": ["steps"], "additionalProperties": false, "properties": {
          "funnel_id": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$"},
          "steps": {"type": "array", "minItems": 1, "maxItems": 64, "items": {"$ref": "#/components/schemas/Step"}},
          "event_types": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Event to step name."},
          "probability": {"oneOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "object", "additionalProperties": {"type": "number"}}]},
          "window_duration": {"$ref": "#/components/schemas/Duration"},
          "window_anchor": {"enum": ["first_step", "previous_step"]},
          "conversion_order": {"oneOf": [{"enum": ["sequential", "strict", "any"]}, {"type": "object", "required": ["flexible"], "properties": {
            "flexible": {"type": "object", "required": ["limit"], "properties": {"limit": {"$ref": "#/components/schemas/Duration"}}}}}]},
          "clock": {"enum": ["second", "microsecond"]}, "entry": {"enum": ["shortest", "earliest", "first"]},
          "exclude": {"type": "array", "maxItems": 16, "items": {"$ref": "#/components/schemas/Exclusion"}},
          "hold_constant": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": ["string", "array"]}},
          "count_by": {"$ref": "#/components/schemas/CountBy"}, "session_gap": {"$ref": "#/components/schemas/Duration"},
          "default": {"type": "boolean"}, "preset": {"type": "string", "examples": ["amplitude/1"]}
        }},
        "StepName": {"type": ["integer", "string"], "description": "A step's number from 1, or its name, which stands for its first place."},
        "FunnelStep": {"type": "object", "required": ["funnel_id", "step"], "additionalProperties": false, "properties": {
          "funnel_id": {"type": "string"}, "step": {"$ref": "#/components/schemas/StepName"}}},
        "Cohort": {"description": "Users by what became of them in a saved funnel, over all time.", "oneOf": [
          {"type": "object", "required": ["reached"], "additionalProperties": false, "properties": {"reached": {"$ref": "#/components/schemas/FunnelStep"}}},
          {"type": "object", "required": ["dropped"], "additionalProperties": false, "properties": {"dropped": {"$ref": "#/components/schemas/FunnelStep"}}}]},
        "Touch": {"type": "string", "pattern": "^(first|last|step:[1-9][0-9]?)$"},
        "Breakdown": {"type": "object", "required": ["property"], "additionalProperties": false, "properties": {
          "property": {"type": "string"}, "touch": {"$ref": "#/components/schemas/Touch"},
          "k": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10}}},
        "Segment": {"type": "object", "required": ["name"], "additionalProperties": false,
          "anyOf": [{"required": ["where"]}, {"required": ["cohort"]}], "properties": {
          "name": {"type": "string", "minLength": 1}, "where": {"$ref": "#/components/schemas/Where"}, "cohort": {"$ref": "#/components/schemas/Cohort"}}},
        "Variants": {"oneOf": [
          {"type": "object", "required": ["property"], "additionalProperties": false, "properties": {
            "property": {"type": "string"},
            "exposure": {"enum": ["first", "attempt"], "default": "first", "description": "Whether a user counts for the value seen first, or for that of the chosen attempt."},
            "touch": {"$ref": "#/components/schemas/Touch", "description": "Only with exposure attempt, which it implies."},
            "control": {"type": ["string", "number", "boolean"]},
            "expected": {"type": "object", "minProperties": 2, "maxProperties": 10, "additionalProperties": {"type": "number", "exclusiveMinimum": 0}}}},
          {"type": "object", "required": ["funnels"], "additionalProperties": false, "properties": {
            "funnels": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "object", "required": ["name"], "additionalProperties": false, "properties": {
              "name": {"type": "string"}, "funnel": {"$ref": "#/components/schemas/Definition"}, "funnel_id": {"type": "string"}}}}}}]},
        "QueryMembers": {"type": "object", "properties": {
          "funnel": {"$ref": "#/components/schemas/Definition"}, "funnel_id": {"type": "string"},
          "start": {"type": "string", "description": "YYYY-MM-DD or RFC 3339, of step 1."},
          "end": {"type": "string", "description": "A day, inclusive, or an instant, exclusive."},
          "time_zone": {"type": "string", "default": "UTC"}, "as_of": {"type": "string", "format": "date-time"},
          "times": {"enum": ["summary", "none"], "default": "summary"},
          "count_by": {"$ref": "#/components/schemas/CountBy"}, "session_gap": {"$ref": "#/components/schemas/Duration"},
          "cohort": {"$ref": "#/components/schemas/Cohort"},
          "breakdown": {"$ref": "#/components/schemas/Breakdown"},
          "trend": {"type": "object", "required": ["by"], "additionalProperties": false, "properties": {"by": {"enum": ["hour", "day", "week", "month"]}}},
          "segments": {"type": "array", "minItems": 1, "maxItems": 10, "items": {"$ref": "#/components/schemas/Segment"}},
          "compare": {"const": "previous_period"}, "variants": {"$ref": "#/components/schemas/Variants"},
          "allow_partial": {"type": "boolean", "default": false},
          "heavy_users": {"enum": ["error", "leave_out"], "default": "error", "description": "What becomes of users with too many events, or whose search takes too much work."},
          "deadline": {"$ref": "#/components/schemas/Duration"}
        }},
        "Query": {"allOf": [{"$ref": "#/components/schemas/QueryMembers"}], "unevaluatedProperties": false, "examples": [
          {"funnel": {"steps": ["Sign Up", "Purchase"], "window_duration": "7d"}, "start": "2024-03-01", "end": "2024-03-31", "compare": "previous_period"},
          {"funnel_id": "shop", "segments": [{"name": "pro", "where": [{"property": "plan", "op": "=", "value": "pro"}]}]}]},
        "UsersQuery": {"allOf": [{"$ref": "#/components/schemas/QueryMembers"}], "unevaluatedProperties": false, "required": ["step"], "properties": {
          "step": {"$ref": "#/components/schemas/StepName"}, "outcome": {"enum": ["reached", "dropped", "open", "converted"], "default": "reached"},
          "group": {"type": "object", "required": ["property", "value"], "additionalProperties": false, "description": "Only users of this row of a breakdown.", "properties": {
            "property": {"type": "string"}, "touch": {"$ref": "#/components/schemas/Touch"}, "value": {"type": ["string", "number", "boolean", "null"]}}},
          "limit": {"type": "integer", "minimum": 1, "maximum": 10000, "default": 1000}, "after": {"type": "string"}}},
        "PathsQuery": {"allOf": [{"$ref": "#/components/schemas/QueryMembers"}], "unevaluatedProperties": false, "required": ["from"], "properties": {
          "from": {"oneOf": [
            {"type": "object", "required": ["dropped"], "additionalProperties": false, "properties": {"dropped": {"$ref": "#/components/schemas/StepName"}}},
            {"type": "object", "required": ["between"], "additionalProperties": false, "properties": {
              "between": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"$ref": "#/components/schemas/StepName"}}}}]},
          "length": {"type": "integer", "minimum": 1, "default": 3}, "events": {"type": "array", "items": {"type": "string"}},
          "exclude_events": {"type": "array", "items": {"type": "string"}}, "k": {"type": "integer", "minimum": 1, "default": 20}}},
        "PredictorsQuery": {"allOf": [{"$ref": "#/components/schemas/QueryMembers"}], "unevaluatedProperties": false, "properties": {
          "step": {"$ref": "#/components/schemas/StepName"}, "of": {"$ref": "#/components/schemas/StepName"},
          "properties": {"type": "boolean", "default": true}, "k": {"type": "integer", "minimum": 1, "default": 20},
          "min_users": {"type": "integer", "minimum": 1, "default": 10}}},
        "TimesQuery": {"allOf": [{"$ref": "#/components/schemas/QueryMembers"}], "unevaluatedProperties": false, "properties": {
          "from": {"$ref": "#/components/schemas/StepName"}, "to": {"$ref": "#/components/schemas/StepName"},
          "bins": {"type": "integer", "minimum": 5, "maximum": 100, "default": 20}}},
        "ExplainQuery": {"allOf": [{"$ref": "#/components/schemas/QueryMembers"}], "unevaluatedProperties": false, "required": ["user_id"], "properties": {
          "user_id": {"type": "string", "minLength": 1}}}
        """#
}
