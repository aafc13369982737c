import ArgumentParser
import FunnelModel
import FunnelProtocol
import RPC
import ReportTables

/// The options of every command that asks for a report.
struct QuestionOptions: ParsableArguments {
    @OptionGroup(title: "Funnel") var definition: DefinitionOptions
    @OptionGroup(title: "Range") var range: RangeOptions
    @OptionGroup(title: "Answer and connection") var answer: AnswerOptions

    func document() throws -> QueryDocument {
        var document = QueryDocument()
        try definition.write(to: &document)
        range.write(to: &document)
        answer.write(to: &document)
        return document
    }

    /// Asks for a report of one JSON document, and prints it in the format asked for.
    func show(
        _ call: CallPath, _ document: QueryDocument, table: (JSONValue) -> String, csv: (JSONValue) -> [ReportTable]
    ) async throws {
        let bodies = try await answer.ask(call, document)
        guard bodies.count == 1 else { throw Failure("\(answer.to): an answer of \(bodies.count) frames, 1 expected") }
        let report = try JSONParser.parse(bodies[0])
        switch answer.format {
        case .json: Terminal.out(json: bodies[0])
        case .csv:
            Terminal.out(ReportTable.text(csv(report)))
            if let missing = PartialAnswer.line(report) { Terminal.note(missing) }
        case .table: Terminal.out(table(report))
        }
        await EmptySteps(of: report)?.warn(answer.http)
    }
}
