"""What the sources claim, judged by recorded numbers: rules, claims and their verdicts."""
