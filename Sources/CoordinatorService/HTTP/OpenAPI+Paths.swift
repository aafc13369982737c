extension OpenAPI {
    static let queryPaths = ReportEndpoint.all
        .map { query($0.path, $0.summary, $0.requestSchema, $0.answerSchema) }.joined(separator: ",")

    private static func query(_ path: String, _ summary: String, _ body: String, _ answer: String) -> String {
        """
        "\(path)": {"post": {
          "summary": "\(summary)",
          "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/\(body)"}}}},
          "responses": {"200": {"description": "The answer.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/\(answer)"}}}}, \(failures)}
        }}
        """
    }

    private static let failures = ["400", "401", "403", "404", "409", "413", "422", "503", "504"]
        .map { "\"\($0)\": " + reference("responses/Problem") }.joined(separator: ", ")

    private static func reference(_ part: String) -> String { "{\"$ref\": \"#/components/\(part)\"}" }

    private static func list(_ path: String, _ summary: String, _ parameters: [String], _ answer: String) -> String {
        let names = parameters.map { reference("parameters/\($0)") }.joined(separator: ", ")
        return """
            "\(path)": {"get": {
              "summary": "\(summary)", "parameters": [\(names)],
              "responses": {"200": {"description": "The answer.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/\(answer)"}}}}, \(failures)}
            }}
            """
    }

    private static func plain(_ path: String, _ summary: String, _ type: String, _ more: String = "") -> String {
        """
        "\(path)": {"get": {"summary": "\(summary)", "security": [{}], "responses": {"200": {"description": "\(summary)", "content": {"\(type)": {}}}\(more)}}}
        """
    }

    static let otherPaths = [
        plain("/", "The dashboard.", "text/html"), plain("/openapi.json", "This document.", "application/json"),
        plain("/healthz", "The process is alive.", "text/plain"),
        plain(
            "/readyz", "The service is ready.", "text/plain",
            #", "503": {"description": "It is not, and why.", "content": {"text/plain": {}}}"#),
        plain("/metrics", "Metrics for Prometheus.", "text/plain"),
        list(
            "/funnel-performance", "The steps of one saved funnel.", ["start_date", "end_date", "time_zone", "funnel_id", "allow_partial"],
            "Performance"),
        list("/v1/events", "Names of events seen, with counts.", ["prefix", "limit", "allow_partial"], "Events"),
        list("/v1/properties", "Properties seen, of one event or of all.", ["event", "allow_partial"], "Properties"),
        list("/v1/properties/{name}/values", "Values of a property.", ["name", "event", "prefix", "limit", "allow_partial"], "Values"),
        list("/v1/funnels", "All saved funnels.", [], "Funnels"), funnel,
        list("/v1/status", "What each shard has of the project.", [], "Status"), live, session,
    ].joined(separator: ",")

    private static let live = """
        "/v1/live": {"post": {
          "summary": "The report of a funnel now, and again whenever it changes: events report and problem, as they come.",
          "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Query"}}}},
          "responses": {"200": {"description": "A stream without end.", "content": {"text/event-stream": {}}}, \(failures)}
        }}
        """

    private static let session = """
        "/v1/session": {
          "get": {"summary": "Who the browser is signed in as.", "security": [{}], "responses": {"200": \(sessionState)}},
          "post": {
            "summary": "Signs a browser in with a key: a cookie stands for it from then on.", "security": [{}],
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}}}}}},
            "responses": {"200": \(sessionState), \(failures)}
          },
          "delete": {"summary": "Signs out.", "security": [{}], "responses": {"204": {"description": "Signed out."}}}
        }
        """

    private static let sessionState = """
        {"description": "The session.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Session"}}}}
        """

    private static let funnel = """
        "/v1/funnels/{id}": {
          "parameters": [{"$ref": "#/components/parameters/id"}],
          "get": {"summary": "A saved funnel.", "responses": {"200": \(saved("It; its revision is the ETag.")), \(failures)}},
          "put": {
            "summary": "Saves a funnel; needs an admin key.", "parameters": [{"$ref": "#/components/parameters/If-Match"}],
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Definition"}}}},
            "responses": {"200": \(saved("Replaced.")), "201": \(saved("New.")), "412": {"$ref": "#/components/responses/Problem"}, \(failures)}
          },
          "delete": {
            "summary": "Deletes a saved funnel; needs an admin key.", "parameters": [{"$ref": "#/components/parameters/If-Match"}],
            "responses": {"204": {"description": "Deleted."}, "412": {"$ref": "#/components/responses/Problem"}, \(failures)}
          }
        }
        """

    private static func saved(_ text: String) -> String {
        """
        {"description": "\(text)", "headers": {"ETag": {"schema": {"type": "string"}}}, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Definition"}}}}
        """
    }

    static let parameters = [
        parameter("id", "path", "Id of a saved funnel.", #""pattern": "^[A-Za-z0-9_.-]{1,128}$""#),
        parameter("name", "path", "A property's name, percent-encoded."),
        parameter("If-Match", "header", "The ETag that the caller saw: the change is refused where another came between."),
        parameter("funnel_id", "query", "Id of a saved funnel; else the default answers, or the only one."),
        parameter("start_date", "query", "First day (YYYY-MM-DD) or instant of step 1."),
        parameter("end_date", "query", "Last day, inclusive, or instant, exclusive, of step 1."),
        parameter("time_zone", "query", "IANA name; for whole days."),
        parameter("allow_partial", "query", "true or 1: answer without shards that are missing, and say so."),
        parameter("event", "query", "Only of this event."), parameter("prefix", "query", "Only what begins so, byte by byte."),
        parameter("limit", "query", "Entries at most, 1 to 10000."),
    ].joined(separator: ", ")

    private static func parameter(_ name: String, _ place: String, _ text: String, _ more: String = "") -> String {
        let required = place == "path" ? #", "required": true"# : ""
        let schema = more.isEmpty ? #"{"type": "string"}"# : #"{"type": "string", \#(more)}"#
        return #""\#(name)": {"name": "\#(name)", "in": "\#(place)", "description": "\#(text)"\#(required), "schema": \#(schema)}"#
    }

    static let responses = """
        "Problem": {"description": "Problem details (RFC 9457); faults of a document are in errors, missing shards in shards.", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
        """
}
