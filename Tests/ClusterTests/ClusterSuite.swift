import Testing

/// All tests that start clusters, one after the other: on two cores they would only slow each other down, and ports that
/// one has just found free could be taken by another.
@Suite(.serialized, .timeLimit(.minutes(15)))
enum ClusterSuite {}
