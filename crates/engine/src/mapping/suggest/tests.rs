//! Tests of proposals.

use linkspan_domain::{FieldKind, StreamField};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::mapping::{Mapping, model::Models};

const INDEX: &str = include_str!("../../../../../seeds/models.json");

fn stream(name: &str, key: &[&str], fields: &[(&str, FieldKind)]) -> StreamSpec {
    StreamSpec {
        name: name.parse().unwrap(),
        fields: fields
            .iter()
            .map(|(name, kind)| StreamField {
                name: (*name).to_owned(),
                kind: *kind,
                nullable: !key.contains(name),
            })
            .collect(),
        primary_key: key.iter().map(|it| (*it).to_owned()).collect(),
        cursor_candidates: Vec::new(),
        supports_incremental: false,
    }
}

fn propose(stream: &StreamSpec, samples: &[Value], model: TargetModel) -> Suggestion {
    let models = Models::parse(INDEX).unwrap();
    suggest(stream, samples, models.get(model).unwrap())
}

/// What the proposal makes of each sample, each checked against the model's schema.
fn mapped(suggestion: &Suggestion, samples: &[Value]) -> Vec<Value> {
    let schemas: Vec<Value> = serde_json::from_str(INDEX).unwrap();
    let id = format!("urn:linkspan:model:{}:1.0.0", suggestion.model);
    let schema = schemas.iter().find(|it| it["$id"] == id).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(schema).unwrap();
    let mapping = Mapping::compile(&suggestion.expression).unwrap();
    let map = |sample: &Value| {
        let [object] = &mapping.evaluate(&sample.to_string()).unwrap().objects[..] else {
            panic!("{suggestion:#?}")
        };
        let object: Value = serde_json::from_str(object).unwrap();
        let faults: Vec<String> = validator
            .iter_errors(&object)
            .map(|it| format!("{} {it}", it.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{faults:#?}\n{object:#}\n{}", suggestion.expression);
        object
    };
    samples.iter().map(map).collect()
}

fn stripe_customers() -> (StreamSpec, Vec<Value>) {
    let fields = [
        ("id", FieldKind::Text),
        ("object", FieldKind::Text),
        ("address", FieldKind::Json),
        ("balance", FieldKind::Integer),
        ("created", FieldKind::Integer),
        ("currency", FieldKind::Text),
        ("delinquent", FieldKind::Boolean),
        ("description", FieldKind::Text),
        ("email", FieldKind::Text),
        ("livemode", FieldKind::Boolean),
        ("metadata", FieldKind::Json),
        ("name", FieldKind::Text),
        ("phone", FieldKind::Text),
    ];
    let samples = vec![
        json!({ "id": "cus_1", "object": "customer", "created": 1_700_000_000, "currency": "eur", "balance": 0,
            "address": { "line1": "1 Main Street", "line2": null, "city": "Berlin", "country": "DE",
                "postal_code": "10115", "state": null },
            "email": "ada@example.com", "name": "Ada L.", "phone": "+49 30 1", "livemode": true,
            "delinquent": false, "metadata": {}, "description": null }),
        json!({ "id": "cus_2", "object": "customer", "created": 1_700_000_001, "currency": null, "balance": 0,
            "address": null, "email": "bob@example.com", "name": "Bob", "phone": "", "livemode": true,
            "delinquent": false, "metadata": {}, "description": null }),
    ];
    (stream("customers", &["id"], &fields), samples)
}

fn invoices_of_a_file() -> (StreamSpec, Vec<Value>) {
    let fields = [
        ("Invoice No", FieldKind::Text),
        ("Invoice Date", FieldKind::Date),
        ("Due Date", FieldKind::Date),
        ("Customer Name", FieldKind::Text),
        ("Net Amount", FieldKind::Decimal),
        ("VAT", FieldKind::Decimal),
        ("Total", FieldKind::Decimal),
        ("Currency", FieldKind::Text),
        ("Status", FieldKind::Text),
    ];
    let samples = vec![
        json!({ "Invoice No": "2026-001", "Invoice Date": "2026-01-31", "Due Date": "2026-02-28",
        "Customer Name": "Acme", "Net Amount": "100.00", "VAT": "20.00", "Total": "120.00", "Currency": "EUR",
        "Status": "Paid" }),
    ];
    (stream("invoices.csv", &["Invoice No"], &fields), samples)
}

#[test]
fn customers_of_a_payment_provider_become_people() {
    let (stream, samples) = stripe_customers();
    let suggestion = propose(&stream, &samples, TargetModel::People);
    assert_eq!(suggestion.verdict(), Verdict::Applied, "{suggestion:#?}");
    assert_eq!(
        mapped(&suggestion, &samples),
        [
            json!({ "external_id": "cus_1", "full_name": "Ada L.", "email": "ada@example.com", "phone": "+49 30 1",
                "street": "1 Main Street", "postal_code": "10115", "city": "Berlin", "country": "DE",
                "created_at": "2023-11-14T22:13:20.000Z" }),
            json!({ "external_id": "cus_2", "full_name": "Bob", "email": "bob@example.com",
                "created_at": "2023-11-14T22:13:21.000Z" }),
        ]
    );
}

#[test]
fn contacts_of_a_crm_are_found_within_their_wrapper() {
    let fields = [
        ("id", FieldKind::Text),
        ("properties", FieldKind::Json),
        ("createdAt", FieldKind::Timestamp),
        ("updatedAt", FieldKind::Timestamp),
        ("archived", FieldKind::Boolean),
    ];
    let samples = [json!({ "id": "51", "archived": false, "createdAt": "2026-01-02T03:04:05Z",
        "updatedAt": "2026-01-03T03:04:05Z", "properties": { "email": "ada@example.com", "firstname": "Ada",
            "lastname": "L.", "phone": null, "jobtitle": "Analyst", "company": "Engines" } })];
    let suggestion = propose(&stream("contacts", &["id"], &fields), &samples, TargetModel::People);
    assert_eq!(suggestion.verdict(), Verdict::Applied, "{suggestion:#?}");
    assert_eq!(
        mapped(&suggestion, &samples),
        [
            json!({ "external_id": "51", "first_name": "Ada", "last_name": "L.", "email": "ada@example.com",
            "job_title": "Analyst", "company_name": "Engines", "created_at": "2026-01-02T03:04:05Z",
            "updated_at": "2026-01-03T03:04:05Z" })
        ]
    );
}

#[test]
fn invoices_of_a_file_become_invoices() {
    let (stream, samples) = invoices_of_a_file();
    let suggestion = propose(&stream, &samples, TargetModel::Invoice);
    assert_eq!(suggestion.verdict(), Verdict::Applied, "{suggestion:#?}");
    assert_eq!(
        mapped(&suggestion, &samples),
        [
            json!({ "external_id": "2026-001", "number": "2026-001", "status": "paid", "issue_date": "2026-01-31",
            "due_date": "2026-02-28", "currency": "EUR", "net_amount": "100.00", "tax_amount": "20.00",
            "total_amount": "120.00", "buyer_name": "Acme" })
        ]
    );
}

#[test]
fn rows_of_a_bank_become_transactions() {
    let fields = [
        ("transaction_id", FieldKind::Text),
        ("account_id", FieldKind::Text),
        ("booking_date", FieldKind::Date),
        ("value_date", FieldKind::Date),
        ("amount", FieldKind::Decimal),
        ("currency", FieldKind::Text),
        ("creditor_name", FieldKind::Text),
        ("creditor_iban", FieldKind::Text),
        ("remittance_information", FieldKind::Text),
    ];
    let samples =
        [json!({ "transaction_id": "t1", "account_id": "a1", "booking_date": "2026-01-31",
        "value_date": "2026-02-01", "amount": "-12.30", "currency": "eur", "creditor_name": "Acme",
        "creditor_iban": "DE89 3704 0044 0532 0130 00", "remittance_information": "RF18" })];
    let stream = stream("bank_transactions", &["transaction_id"], &fields);
    let suggestion = propose(&stream, &samples, TargetModel::Transaction);
    assert_eq!(suggestion.verdict(), Verdict::Applied, "{suggestion:#?}");
    assert_eq!(
        mapped(&suggestion, &samples),
        [json!({ "external_id": "t1", "account_external_id": "a1", "date": "2026-01-31",
            "value_date": "2026-02-01", "amount": "-12.30", "currency": "EUR", "description": "RF18",
            "counterparty_name": "Acme", "counterparty_iban": "DE89370400440532013000" })]
    );
}

#[test]
fn whole_amounts_are_for_a_person_to_look_at() {
    let fields = [
        ("id", FieldKind::Text),
        ("amount", FieldKind::Integer),
        ("currency", FieldKind::Text),
        ("created", FieldKind::Integer),
        ("posted_at", FieldKind::Integer),
        ("description", FieldKind::Text),
        ("fee", FieldKind::Integer),
    ];
    let samples =
        [json!({ "id": "txn_1", "amount": 1230, "currency": "eur", "created": 1_700_000_000,
        "posted_at": 1_700_000_000, "description": "Payment", "fee": 30 })];
    let stream = stream("balance_transactions", &["id"], &fields);
    let suggestion = propose(&stream, &samples, TargetModel::Transaction);
    assert_eq!(suggestion.verdict(), Verdict::Proposed, "{suggestion:#?}");
    assert!(suggestion.doubtful.iter().any(|it| it.field == "fee_amount"), "{suggestion:#?}");
}

#[test]
fn a_stream_of_something_else_is_refused() {
    let (invoices, samples) = invoices_of_a_file();
    for model in [TargetModel::Email, TargetModel::Account, TargetModel::JournalEntry] {
        let suggestion = propose(&invoices, &samples, model);
        assert_eq!(suggestion.verdict(), Verdict::Refused, "{suggestion:#?}");
    }
    let fields = [("reading", FieldKind::Number), ("sensor", FieldKind::Text)];
    for model in Models::parse(INDEX).unwrap().iter() {
        let suggestion = suggest(&stream("measurements", &[], &fields), &[], model);
        assert_eq!(suggestion.verdict(), Verdict::Refused, "{suggestion:#?}");
        assert!(suggestion.missing.contains(&"external_id".to_owned()));
    }
}

#[test]
fn samples_speak_against_a_name() {
    let fields =
        [("id", FieldKind::Text), ("email", FieldKind::Text), ("country", FieldKind::Text)];
    let contacts = stream("contacts", &["id"], &fields);
    let fills = |samples: &[Value], field: &str| {
        propose(&contacts, samples, TargetModel::People).fields.iter().any(|it| it.field == field)
    };
    assert!(fills(&[], "email"));
    assert!(fills(&[json!({ "email": "a@example.com", "country": "DE" })], "country"));
    assert!(!fills(&[json!({ "email": "see notes", "country": "Germany" })], "email"));
    assert!(!fills(&[json!({ "email": "see notes", "country": "Germany" })], "country"));
}

#[test]
fn a_composite_key_is_joined() {
    let fields = [
        ("book", FieldKind::Text),
        ("line no", FieldKind::Integer),
        ("entry_date", FieldKind::Date),
    ];
    let entries = stream("journal_entries", &["book", "line no"], &fields);
    let samples = [json!({ "book": "VE", "line no": 7, "entry_date": "2026-01-31" })];
    let suggestion = propose(&entries, &samples, TargetModel::JournalEntry);
    assert_eq!(mapped(&suggestion, &samples)[0]["external_id"], "VE:7");
}

#[test]
fn thresholds_belong_to_the_better_verdict() {
    for (confidence, verdict) in [
        (1.0, Verdict::Applied),
        (0.85, Verdict::Applied),
        (0.849, Verdict::Proposed),
        (0.55, Verdict::Proposed),
        (0.549, Verdict::Refused),
        (0.0, Verdict::Refused),
        (f64::NAN, Verdict::Refused),
    ] {
        assert_eq!(Verdict::of(confidence), verdict, "{confidence}");
    }
}

#[test]
fn every_model_is_a_valid_schema() {
    let schemas: Vec<Value> = serde_json::from_str(INDEX).unwrap();
    for schema in &schemas {
        jsonschema::meta::validate(schema).unwrap();
    }
}

fn any_kind() -> impl Strategy<Value = FieldKind> {
    prop_oneof![
        Just(FieldKind::Text),
        Just(FieldKind::Integer),
        Just(FieldKind::Number),
        Just(FieldKind::Decimal),
        Just(FieldKind::Boolean),
        Just(FieldKind::Date),
        Just(FieldKind::Timestamp),
        Just(FieldKind::Json),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,3}|[0-9]{1,4}|\\PC{0,30}|2026-01-31.{0,12}".prop_map(Value::from),
        ("[a-z]{1,8}|`", "\\PC{0,8}").prop_map(|(name, text)| json!({ name: text })),
    ]
}

proptest! {
    #[test]
    fn the_same_stream_gives_the_same_proposal_and_one_that_compiles(
        fields in proptest::collection::btree_map(
            "id|name|email|amount|date|currency|address|created|[a-zA-Z_ .`\"\\\\]{1,8}|\\PC{1,6}",
            (any_kind(), any_value()),
            0..8,
        ),
        keys in 0_usize..3,
    ) {
        let key: Vec<&str> = fields.keys().take(keys).map(String::as_str).collect();
        let kinds: Vec<(&str, FieldKind)> =
            fields.iter().map(|(name, (kind, _))| (name.as_str(), *kind)).collect();
        let samples: Value = fields.iter().map(|(name, (_, value))| (name.clone(), value.clone())).collect();
        let samples = [samples];
        let stream = stream("things", &key, &kinds);
        for model in Models::parse(INDEX).unwrap().iter() {
            let first = suggest(&stream, &samples, model);
            prop_assert_eq!(&first, &suggest(&stream, &samples, model));
            prop_assert!((0.0..=1.0).contains(&first.confidence));
            prop_assert!(Mapping::compile(&first.expression).is_ok(), "{}", first.expression);
        }
    }
}
