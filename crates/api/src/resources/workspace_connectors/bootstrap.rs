//! The body that makes an activation together with its schedule.

use linkspan_app::SetSchedule;
use linkspan_domain::Code;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use serde_json::{Map, Value};

use super::body::NewActivationBody;
use crate::{
    body::{Input, New, PlainBody, nested},
    problem::Failure,
    resources::schedules::ScheduleBody,
    schema::inline,
};

/// What a new activation is made of, and its schedule among the attributes.
pub(super) struct BootstrapBody {
    pub(super) new: NewActivationBody,
    pub(super) schedule: SetSchedule,
}

/// Where the schedule stands.
const PLACE: &str = "/data/attributes/schedule";

impl Input for BootstrapBody {
    const NAME: &'static str = "BootstrapWorkspaceConnector";

    fn schema() -> MetaSchema {
        let mut schema = New::<NewActivationBody>::schema();
        if let Some(attributes) = inner(&mut schema, "data").and_then(|it| inner(it, "attributes"))
        {
            attributes.properties.push(("schedule", inline(ScheduleBody::schema())));
            attributes.required.push("schedule");
        }
        if let Some(attributes) =
            schema.example.as_mut().and_then(|it| it.pointer_mut("/data/attributes"))
        {
            attributes["schedule"] = ScheduleBody::example().unwrap_or_default();
        }
        schema
    }

    fn read(body: &[u8], id: Option<&str>) -> Result<Self, Failure> {
        let mut whole: Value = nested::read(body)?;
        let attributes = whole.pointer_mut("/data/attributes").and_then(Value::as_object_mut);
        let schedule: Map<String, Value> = match attributes.and_then(|it| it.remove("schedule")) {
            Some(Value::Object(schedule)) => schedule,
            Some(_) => {
                return Err(Failure::new(Code::RequestMalformed, "expected an object").at(PLACE));
            }
            None => return Err(Failure::new(Code::Invalid, "say when it shall sync").at(PLACE)),
        };
        let New(new) = New::read(whole.to_string().as_bytes(), id)?;
        let schedule: ScheduleBody = nested::attributes(schedule, PLACE)?;
        Ok(Self { new, schedule: schedule.read(PLACE)? })
    }
}

/// The shape of a property that is described in place.
fn inner<'a>(schema: &'a mut MetaSchema, name: &str) -> Option<&'a mut MetaSchema> {
    let property = schema.properties.iter_mut().find(|(it, _)| *it == name);
    match &mut property?.1 {
        MetaSchemaRef::Inline(schema) => Some(schema),
        MetaSchemaRef::Reference(_) => None,
    }
}
