import Hummingbird
import ServiceHost

/// `GET /openapi.json`: what the coordinator answers, for tools and people (OpenAPI 3.1).
package enum OpenAPI {
    static var response: Response { JSONResponse.body(document, type: "application/json") }

    package static let document = Array(
        """
        {
          "openapi": "3.1.0",
          "info": {
            "title": "Sluice coordinator",
            "version": "1",
            "description": "Conversion funnels. What the numbers mean is in Protocol/FUNNEL.md. Unknown keys are errors; every fault names its field."
          },
          "security": [{"key": []}, {}],
          "paths": {
            \(queryPaths),
            \(otherPaths)
          },
          "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A read or admin key; none where the service has no keys."}},
            "parameters": {\(parameters)},
            "responses": {\(responses)},
            "schemas": {
              \(querySchemas),
              \(reportSchemas)
            }
          }
        }

        """.utf8)
}
