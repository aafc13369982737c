/// What clients get. A reader ignores keys that it does not know.
extension OpenAPI {
    static let reportSchemas = #"""
        "Count": {"type": "integer", "minimum": 0},
        "Rate": {"type": ["number", "null"], "description": "Null where there is nobody to count."},
        "Interval": {"type": ["array", "null"], "description": "95 %, low and high.", "minItems": 2, "maxItems": 2, "items": {"type": "number"}},
        "Seconds": {"type": ["number", "null"], "minimum": 0},
        "Value": {"type": ["string", "number", "boolean", "null"]},
        "StepReport": {"type": "object", "required": ["step", "index", "count"], "properties": {
          "step": {"type": "string"}, "index": {"type": "integer", "minimum": 1}, "count": {"$ref": "#/components/schemas/Count"},
          "dropoff": {"type": ["integer", "null"]},
          "open": {"type": ["integer", "null"], "description": "Of the users in dropoff, those who can still convert."},
          "dropout_rate": {"$ref": "#/components/schemas/Rate", "description": "Percent."}, "dropout_rate_ci": {"$ref": "#/components/schemas/Interval"},
          "conversion_rate": {"$ref": "#/components/schemas/Rate"}, "conversion_rate_ci": {"$ref": "#/components/schemas/Interval"},
          "conversion_from_first": {"$ref": "#/components/schemas/Rate"}, "conversion_from_first_ci": {"$ref": "#/components/schemas/Interval"},
          "conversion_from_previous": {"$ref": "#/components/schemas/Rate"}, "conversion_from_previous_ci": {"$ref": "#/components/schemas/Interval"},
          "median_seconds": {"$ref": "#/components/schemas/Seconds"}, "average_seconds": {"$ref": "#/components/schemas/Seconds"},
          "p90_seconds": {"$ref": "#/components/schemas/Seconds"},
          "median_seconds_from_previous": {"$ref": "#/components/schemas/Seconds"},
          "average_seconds_from_previous": {"$ref": "#/components/schemas/Seconds"},
          "p90_seconds_from_previous": {"$ref": "#/components/schemas/Seconds"}}},
        "Head": {"type": "object", "required": ["entered", "converted", "conversion"], "properties": {
          "entered": {"$ref": "#/components/schemas/Count"}, "converted": {"$ref": "#/components/schemas/Count"},
          "conversion": {"$ref": "#/components/schemas/Rate"}, "conversion_ci": {"$ref": "#/components/schemas/Interval"},
          "steps": {"type": "array", "items": {"$ref": "#/components/schemas/StepReport"}}}},
        "Figures": {"allOf": [{"$ref": "#/components/schemas/Head"}], "properties": {
          "biggest_dropoff": {"type": ["object", "null"], "properties": {"step": {"type": "string"}, "index": {"type": "integer"}, "users": {"$ref": "#/components/schemas/Count"}}},
          "expected_conversions": {"type": ["number", "null"]}, "times": {"enum": ["exact", "histogram", "none"]}}},
        "Completeness": {"type": "object", "required": ["shards_asked", "shards_answered", "missing", "exact"], "properties": {
          "shards_asked": {"type": "integer"}, "shards_answered": {"type": "integer"}, "missing": {"type": "array", "items": {"type": "integer"}},
          "newest_event": {"type": ["string", "null"], "format": "date-time"}, "exact": {"type": "boolean"},
          "heavy_users": {"type": "integer", "description": "Only with heavy_users leave_out: users left out."}}},
        "Asked": {"type": "object", "required": ["funnel", "rules", "as_of", "completeness"], "properties": {
          "funnel": {"$ref": "#/components/schemas/Definition"}, "rules": {"type": "string"}, "as_of": {"type": "string", "format": "date-time"},
          "completeness": {"$ref": "#/components/schemas/Completeness"}}},
        "Report": {"allOf": [{"$ref": "#/components/schemas/Asked"}, {"$ref": "#/components/schemas/Figures"}], "properties": {
          "order": {"const": "any", "description": "Only with conversion order any."},
          "breakdown": {"type": "object", "properties": {"property": {"type": "string"}, "touch": {"type": "string"}, "k": {"type": "integer"},
            "rows": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/Head"}], "properties": {"value": {"$ref": "#/components/schemas/Value"}}}},
            "other": {"type": ["object", "null"]}}},
          "trend": {"type": "object", "properties": {"by": {"type": "string"}, "time_zone": {"type": "string"}, "note": {"type": "string"},
            "buckets": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/Head"}], "properties": {
              "start": {"type": "string", "format": "date-time"}, "end": {"type": "string", "format": "date-time"}, "immature": {"type": "boolean"}}}}}},
          "segments": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/Figures"}], "properties": {"name": {"type": "string"}}}},
          "segments_note": {"type": "string"},
          "previous": {"allOf": [{"$ref": "#/components/schemas/Head"}], "properties": {
            "start": {"type": "string", "format": "date-time"}, "end": {"type": "string", "format": "date-time"}, "immature": {"type": "boolean"}}},
          "change": {"type": "object", "properties": {"immature": {"type": "boolean"}, "entered": {"type": "integer"}, "converted": {"type": "integer"},
            "conversion": {"type": ["number", "null"]}, "steps": {"type": "array", "items": {"type": "object"}}, "note": {"type": "string"}}},
          "variants": {"oneOf": [{"$ref": "#/components/schemas/Experiment"}, {"$ref": "#/components/schemas/Paired"}]}}},
        "Comparison": {"type": ["object", "null"], "description": "With the control; null for the control.", "properties": {
          "difference": {"type": ["number", "null"]}, "difference_ci": {"$ref": "#/components/schemas/Interval"},
          "lift": {"type": ["number", "null"]}, "lift_ci": {"$ref": "#/components/schemas/Interval"},
          "p_value": {"$ref": "#/components/schemas/Rate"}, "method": {"enum": ["two_proportion_z", "fisher_exact", null]},
          "adjusted_p_value": {"$ref": "#/components/schemas/Rate"}, "sequential_p_value": {"$ref": "#/components/schemas/Rate"},
          "adjusted_sequential_p_value": {"$ref": "#/components/schemas/Rate"}, "chance_to_win": {"$ref": "#/components/schemas/Rate"}}},
        "Experiment": {"type": "object", "required": ["property", "groups"], "properties": {
          "property": {"type": "string"}, "exposure": {"enum": ["first", "attempt"]}, "touch": {"type": ["string", "null"]},
          "several_values": {"type": "integer", "minimum": 0, "description": "Users who entered and saw several values."}, "control": {"$ref": "#/components/schemas/Value"},
          "immature": {"type": "boolean", "description": "Some users may still convert: no test holds."},
          "groups": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/Head"}], "properties": {
            "value": {"$ref": "#/components/schemas/Value"}, "chance_to_be_best": {"$ref": "#/components/schemas/Rate"},
            "comparison": {"$ref": "#/components/schemas/Comparison"}}}},
          "without_value": {"$ref": "#/components/schemas/Head"},
          "sample_ratio": {"type": "object", "properties": {"expected": {"type": "array", "items": {"type": "object", "properties": {
            "value": {"$ref": "#/components/schemas/Value"}, "share": {"type": "number"}}}}, "p_value": {"$ref": "#/components/schemas/Rate"},
            "mismatch": {"type": ["boolean", "null"]}}}, "note": {"type": "string"}}},
        "Alone": {"type": "object", "properties": {"entered": {"$ref": "#/components/schemas/Count"}, "converted": {"$ref": "#/components/schemas/Count"}}},
        "Paired": {"type": "object", "required": ["funnels", "table", "paired"], "properties": {
          "funnels": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/Head"}], "properties": {
            "name": {"type": "string"}, "funnel": {"$ref": "#/components/schemas/Definition"}, "rules": {"type": "string"}}}},
          "table": {"type": "object", "properties": {
            "entered_both": {"type": "object", "properties": {
              "users": {"$ref": "#/components/schemas/Count"}, "converted_both": {"$ref": "#/components/schemas/Count"},
              "converted_first_only": {"$ref": "#/components/schemas/Count"}, "converted_second_only": {"$ref": "#/components/schemas/Count"},
              "converted_neither": {"$ref": "#/components/schemas/Count"}}},
            "entered_first_only": {"$ref": "#/components/schemas/Alone"}, "entered_second_only": {"$ref": "#/components/schemas/Alone"}}},
          "paired": {"type": "object", "properties": {
            "difference": {"type": ["number", "null"]}, "difference_ci": {"$ref": "#/components/schemas/Interval"},
            "p_value": {"$ref": "#/components/schemas/Rate"}, "method": {"enum": ["mcnemar_exact", null]},
            "chi_square_p_value": {"$ref": "#/components/schemas/Rate"}}},
          "note": {"type": "string"}}},
        "UsersPage": {"type": "object", "required": ["users", "next", "as_of", "completeness"], "properties": {
          "users": {"type": "array", "items": {"type": "string"}}, "next": {"type": ["string", "null"], "description": "To be given as after."},
          "as_of": {"type": "string", "format": "date-time"}, "completeness": {"$ref": "#/components/schemas/Completeness"}}},
        "Paths": {"allOf": [{"$ref": "#/components/schemas/Asked"}], "properties": {
          "from": {"type": "object"}, "length": {"type": "integer"}, "k": {"type": "integer"}, "users": {"$ref": "#/components/schemas/Count"},
          "paths": {"type": "array", "items": {"type": "object", "properties": {"events": {"type": "array", "items": {"type": "string"}},
            "users": {"$ref": "#/components/schemas/Count"}, "share": {"$ref": "#/components/schemas/Rate"}}}},
          "other": {"type": ["object", "null"]}, "next": {"type": "array", "items": {"type": "object"}}, "next_other": {"type": ["object", "null"]}}},
        "Predictors": {"allOf": [{"$ref": "#/components/schemas/Asked"}], "properties": {
          "step": {"type": "integer"}, "of": {"type": "integer"}, "k": {"type": "integer"}, "min_users": {"type": "integer"},
          "users": {"$ref": "#/components/schemas/Count"}, "converted": {"$ref": "#/components/schemas/Count"},
          "conversion": {"$ref": "#/components/schemas/Rate"}, "tested": {"type": "integer"},
          "predictors": {"type": "array", "items": {"type": "object"}}, "left_out": {"type": "array", "items": {"type": "string"}}}},
        "Times": {"allOf": [{"$ref": "#/components/schemas/Asked"}], "properties": {
          "from": {"type": "integer"}, "to": {"type": "integer"}, "users": {"$ref": "#/components/schemas/Count"},
          "median_seconds": {"$ref": "#/components/schemas/Seconds"}, "average_seconds": {"$ref": "#/components/schemas/Seconds"},
          "p90_seconds": {"$ref": "#/components/schemas/Seconds"}, "p99_seconds": {"$ref": "#/components/schemas/Seconds"},
          "histogram": {"type": "array", "items": {"type": "object", "properties": {"from_seconds": {"$ref": "#/components/schemas/Seconds"},
            "to_seconds": {"$ref": "#/components/schemas/Seconds"}, "users": {"$ref": "#/components/schemas/Count"}}}}}},
        "Explanation": {"allOf": [{"$ref": "#/components/schemas/Asked"}], "properties": {
          "user_id": {"type": "string"}, "found": {"type": "boolean"}, "depth": {"type": "integer"},
          "outcome": {"enum": ["not_entered", "dropped", "converted"]}, "chosen": {"type": "array", "items": {"type": "object"}},
          "stopped": {"type": ["object", "null"]},
          "open_until": {"type": ["string", "null"], "format": "date-time", "description": "Until when the user can still go on."}, "attempts": {"type": "array", "items": {"type": "object"}},
          "events": {"type": "array", "items": {"type": "object"}}}},
        "Performance": {"type": "object", "required": ["steps"], "properties": {
          "steps": {"type": "array", "items": {"$ref": "#/components/schemas/StepReport"}}, "funnel_id": {"type": ["string", "null"]},
          "completeness": {"$ref": "#/components/schemas/Completeness"}}},
        "Events": {"type": "object", "properties": {"events": {"type": "array", "items": {"type": "object", "properties": {
          "event": {"type": "string"}, "rows": {"$ref": "#/components/schemas/Count"}, "first": {"type": "string"}, "last": {"type": "string"}}}},
          "total": {"type": "integer"}, "completeness": {"$ref": "#/components/schemas/Completeness"}}},
        "Properties": {"type": "object", "properties": {"properties": {"type": "array", "items": {"type": "object", "properties": {
          "property": {"type": "string"}, "rows": {"$ref": "#/components/schemas/Count"}, "kinds": {"type": "object"}}}},
          "total": {"type": "integer"}, "completeness": {"$ref": "#/components/schemas/Completeness"}}},
        "Values": {"type": "object", "properties": {"property": {"type": "string"}, "event": {"type": ["string", "null"]},
          "values": {"type": "array", "items": {"type": "object", "properties": {"value": {"$ref": "#/components/schemas/Value"}, "rows": {"$ref": "#/components/schemas/Count"}}}},
          "total": {"type": "integer"}, "truncated": {"type": "boolean"}, "note": {"type": ["string", "null"]},
          "completeness": {"$ref": "#/components/schemas/Completeness"}}},
        "Funnels": {"type": "object", "properties": {"funnels": {"type": "array", "items": {"$ref": "#/components/schemas/Definition"}}}},
        "Status": {"type": "object", "properties": {"version": {"type": "string"}, "uptime_seconds": {"type": "integer"},
          "cluster_id": {"type": "string"}, "map_epoch": {"type": "integer"},
          "queries": {"type": "object", "properties": {"running": {"type": "integer"}, "waiting": {"type": "integer"}}},
          "event_names": {"$ref": "#/components/schemas/NamesUsed"}, "property_keys": {"$ref": "#/components/schemas/NamesUsed"},
          "warnings": {"type": "array", "items": {"type": "string"}},
          "shards": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}, "address": {"type": "string"},
            "state": {"enum": ["ready", "unreachable"]}, "problem": {"type": ["string", "null"]}, "events": {"type": ["integer", "null"]},
            "users": {"type": ["integer", "null"]}, "segments": {"type": ["integer", "null"]}, "unsealed_events": {"type": ["integer", "null"]},
            "newest_event": {"type": ["string", "null"]}, "lag_seconds": {"type": ["integer", "null"]}}}}}},
        "NamesUsed": {"type": ["object", "null"], "description": "Names of the project: a name on two shards counts once; the limit is of each shard.",
          "properties": {"count": {"type": "integer"}, "most_on_a_shard": {"type": "integer"}, "limit": {"type": "integer"}}},
        "Session": {"type": "object", "properties": {"keys_needed": {"type": "boolean"}, "signed_in": {"type": "boolean"},
          "role": {"type": ["string", "null"]}, "project": {"type": ["integer", "null"]}}},
        "Problem": {"type": "object", "required": ["type", "title", "status", "detail"], "properties": {
          "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
          "errors": {"type": "array", "items": {"type": "object", "properties": {"field": {"type": "string"}, "reason": {"type": "string"}}}},
          "shards": {"type": "array", "items": {"type": "string"}}}}
        """#
}
