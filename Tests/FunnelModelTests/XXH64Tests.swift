import FunnelModel
import Testing

struct XXH64Tests {
    /// Published vectors of the reference implementation (seed 0).
    @Test(arguments: [
        ("", 0xEF46_DB37_51D8_E999 as UInt64), ("a", 0xD24E_C4F1_A98C_6E5B), ("abc", 0x44BC_2CF5_AD77_0999),
        ("Nobody inspects the spammish repetition", 0xFBCE_A83C_8A37_8BF1),
        ("The quick brown fox jumps over the lazy dog", 0x0B24_2D36_1FDA_71BC),
    ])
    func matchesPublishedVectors(text: String, hash: UInt64) {
        #expect(XXH64.hash(Array(text.utf8)) == hash)
    }
}
