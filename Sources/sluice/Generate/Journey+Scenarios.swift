// No two scenarios share an event name or a user id, so all of them fit into one project.

extension Journey {
    private static let evenings = [1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 5, 5, 6, 5, 5, 5, 6, 7, 8, 9, 9, 7, 4, 2]
    private static let officeHours = [0, 0, 0, 0, 0, 0, 0, 1, 5, 9, 9, 8, 4, 6, 9, 9, 7, 4, 1, 0, 0, 0, 0, 0]

    /// From the home page to the first use, with an experiment on the form.
    static let signup = Journey(
        user: "visitor", days: 30, visitsMax: 3, pauseDays: 9, isResumed: true, hasWeekends: true, hours: evenings,
        traits: [
            Trait(names: "device", values: ["mobile": 55, "desktop": 40, "tablet": 5]),
            Trait(names: "country", values: ["DE": 30, "US": 30, "FR": 15, "IN": 15, "BR": 10]),
            Trait(names: "source", values: ["search": 45, "ads": 30, "blog": 15, "friend": 10]),
            Trait(names: "variant", values: ["control": 50, "short_form": 50]),
        ],
        stages: [
            Stage(events: ["Open Home Page": 1]),
            Stage(events: ["Open Sign-up Form": 1], percent: 48, but: ["source=friend": 25, "source=ads": -14], after: 5...1_200),
            Stage(
                events: ["Submit Sign-up": 85, "Accept Invitation": 15], percent: 58,
                but: ["variant=short_form": 16, "device=mobile": -14],
                after: 20...1_500, properties: ["plan": .text(["free": 70, "team": 24, "business": 6])],
                otherwise: [
                    Stage(
                        events: ["Fail Sign-up": 1], percent: 40, after: 10...300,
                        properties: ["field": .text(["email": 40, "password": 45, "company": 15])])
                ]),
            Stage(
                events: ["Verify E-mail": 1], percent: 80, but: ["Accept Invitation": 15, "country=BR": -20], after: 15...120_000,
                otherwise: [Stage(events: ["Ask for Another E-mail": 1], percent: 35, after: 120...7_200)]),
            Stage(
                events: ["Create Project": 1], percent: 58, but: ["plan=team": 15, "plan=business": 24, "device=mobile": -18],
                after: 60...600_000,
                otherwise: [
                    Stage(events: ["Read Guide": 1], percent: 35, after: 30...3_600),
                    Stage(events: ["Contact Support": 1], percent: 10, after: 60...90_000),
                ]),
        ])

    /// From the first contact of a company to the deal, over weeks. A lost lead may come back as a new one.
    static let leads = Journey(
        user: "lead", days: 60, visitsMax: 2, pauseDays: 25, isResumed: false, hasWeekends: false, hours: officeHours,
        traits: [
            Trait(names: "source", values: ["search": 30, "ads": 25, "webinar": 20, "referral": 15, "trade_fair": 10]),
            Trait(names: "company_size", values: ["small": 55, "medium": 32, "large": 13]),
            Trait(names: "country", values: ["DE": 35, "US": 25, "GB": 20, "FR": 20]),
        ],
        stages: [
            Stage(events: ["Submit Form": 75, "Request Call": 25]),
            Stage(
                events: ["Qualify Lead": 1], percent: 50, but: ["source=referral": 25, "source=ads": -18, "Request Call": 15],
                after: 600...432_000,
                properties: ["score": .number(50...100)],
                otherwise: [Stage(events: ["Qualify Lead": 1], percent: 75, after: 600...432_000, properties: ["score": .number(5...49)])]),
            Stage(
                events: ["Hold Demo": 1], percent: 64, but: ["company_size=large": 14], after: 86_400...1_036_800,
                otherwise: [Stage(events: ["Miss Demo": 1], percent: 45, after: 86_400...1_036_800)]),
            Stage(
                events: ["Send Proposal": 1], percent: 72, but: ["source=webinar": -12], after: 43_200...864_000, earlyPercent: 15,
                properties: ["amount": amount]),
            // Some deals are lost and taken up again.
            Stage(
                events: ["Close Deal": 1], percent: 12, after: 172_800...1_728_000, isOptional: true,
                properties: ["outcome": .fixed("lost"), "amount": amount, "reason": reason]),
            Stage(
                events: ["Close Deal": 1], percent: 34, but: ["source=referral": 18, "company_size=large": -10], after: 172_800...2_160_000,
                properties: ["outcome": .fixed("won"), "amount": amount],
                otherwise: [
                    Stage(
                        events: ["Close Deal": 1], percent: 75, after: 172_800...2_160_000,
                        properties: ["outcome": .fixed("lost"), "amount": amount, "reason": reason])
                ]),
        ])

    private static let amount = Value.numberBy([
        "company_size=small": 1_200...9_000, "company_size=medium": 8_000...45_000, "company_size=large": 40_000...240_000,
    ])
    private static let reason = Value.text(["price": 45, "competitor": 30, "timing": 25])

    /// From the landing page of a campaign to a paid subscription. Only landings have `utm_…`, as with the SDK endpoints.
    static let campaign = Journey(
        user: "prospect", days: 30, visitsMax: 4, pauseDays: 7, isResumed: true, hasWeekends: true, hours: evenings,
        traits: [
            Trait(names: "device", values: ["mobile": 62, "desktop": 38]),
            Trait(names: "country", values: ["US": 40, "DE": 25, "GB": 20, "IN": 15]),
            Trait(
                names: "utm_source utm_medium utm_campaign",
                values: [
                    "google cpc spring-brand": 16, "google cpc spring-generic": 22, "newsletter email spring-news": 18,
                    "facebook paid_social spring-video": 24, "partner referral spring-partner": 6, "": 14,
                ], isOfVisit: true),
        ],
        stages: [
            Stage(events: ["Page View": 1], properties: ["page_url": .fixed("https://app.example/spring")]),
            Stage(
                events: ["Page View": 1], percent: 44,
                but: ["utm_source=newsletter": 22, "utm_source=facebook": -16, "utm_campaign=spring-brand": 14, "device=mobile": -8],
                after: 5...900, properties: ["page_url": .fixed("https://app.example/pricing")]),
            Stage(events: ["Watch Video": 55, "Download Guide": 45], percent: 35, after: 20...1_800, isOptional: true),
            Stage(
                events: ["Start Trial": 1], percent: 34, but: ["Watch Video": 12, "Download Guide": 20], after: 30...40_000,
                properties: ["plan": plan]),
            Stage(
                events: ["Subscribe": 1], percent: 40, but: ["plan=team": 12, "plan=business": 20, "country=IN": -14],
                after: 3_600...1_400_000,
                properties: [
                    "plan": plan,
                    "amount": .numberBy(["plan=solo": 12...12, "plan=team": 60...240, "plan=business": 300...900]),
                ],
                otherwise: [
                    Stage(
                        events: ["Cancel Trial": 1], percent: 60, after: 3_600...864_000,
                        properties: ["reason": .text(["price": 45, "missing_feature": 35, "no_time": 20])])
                ]),
        ])

    private static let plan = Value.text(["solo": 60, "team": 30, "business": 10])
}
