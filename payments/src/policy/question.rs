//! Facts as a Cedar request: built by hand, without JSON, since every payment waits for it.

use super::error::PolicyError;
use super::facts::{Actor, CallFacts, Facts, PayFacts, PlanFacts, QuoteFacts, Sums, Thresholds};
use bursar_types::Effect;
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::str::FromStr;
use thiserror::Error;

/// The actions that are decided here. Claims are declared in the schema, and nothing asks about them yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Quote,
    Plan,
    Pay,
    Call,
}

impl Act {
    pub(super) const fn of(facts: &Facts) -> Self {
        match facts {
            Facts::Quote(_) => Self::Quote,
            Facts::Plan(_) => Self::Plan,
            Facts::Pay(_) => Self::Pay,
            Facts::Call(_) => Self::Call,
        }
    }
}

/// One value for each action.
#[derive(Debug)]
pub(super) struct PerAct<T> {
    quote: T,
    plan: T,
    pay: T,
    call: T,
}

impl<T> PerAct<T> {
    pub(super) fn try_new<E>(mut make: impl FnMut(Act) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            quote: make(Act::Quote)?,
            plan: make(Act::Plan)?,
            pay: make(Act::Pay)?,
            call: make(Act::Call)?,
        })
    }

    pub(super) const fn get(&self, act: Act) -> &T {
        match act {
            Act::Quote => &self.quote,
            Act::Plan => &self.plan,
            Act::Pay => &self.pay,
            Act::Call => &self.call,
        }
    }
}

/// Why facts cannot be asked about. Each is a denial.
#[derive(Debug, Error)]
pub(super) enum QuestionError {
    /// A number is larger than Cedar's `Long`.
    #[error("`{field}` is too large a number for rules")]
    NumberTooLarge { field: &'static str },
    /// Cedar did not take them.
    #[error("the facts cannot be put to the rules")]
    Cedar(#[source] Box<dyn Error + Send + Sync>),
}

/// One question in Cedar's terms.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) request: Request,
    pub(super) entities: Entities,
}

/// The schema's names, parsed once.
#[derive(Debug)]
pub(super) struct Vocabulary {
    agent: EntityTypeName,
    role: EntityTypeName,
    user: EntityTypeName,
    project: EntityTypeName,
    site: EntityTypeName,
    vendor: EntityTypeName,
    plan: EntityTypeName,
    tool: EntityTypeName,
    actions: PerAct<EntityUid>,
}

impl Vocabulary {
    pub(super) fn new() -> Result<Self, PolicyError> {
        let name =
            |name| EntityTypeName::from_str(name).map_err(|error| PolicyError::Schema(Box::new(error)));
        let action = name("Action")?;
        Ok(Self {
            agent: name("Agent")?,
            role: name("Role")?,
            user: name("User")?,
            project: name("Project")?,
            site: name("Site")?,
            vendor: name("Vendor")?,
            plan: name("Plan")?,
            tool: name("Tool")?,
            actions: PerAct::try_new(|act| {
                let id = match act {
                    Act::Quote => "quote",
                    Act::Plan => "plan",
                    Act::Pay => "pay",
                    Act::Call => "call",
                };
                Ok::<_, PolicyError>(uid(&action, id))
            })?,
        })
    }

    pub(super) fn action(&self, act: Act) -> &EntityUid {
        self.actions.get(act)
    }

    /// Puts facts as a request.
    ///
    /// Roles, users and projects have no attributes, so they need not be among the entities: Cedar compares their ids.
    pub(super) fn question(&self, facts: &Facts) -> Result<Question, QuestionError> {
        let (actor, resource, resource_attributes, context) = match facts {
            Facts::Quote(facts) => (
                &facts.actor,
                uid(&self.site, &facts.host),
                HashMap::from([("host".to_owned(), text(&facts.host))]),
                quote_context(facts),
            ),
            Facts::Plan(facts) => {
                (&facts.actor, uid(&self.plan, &facts.plan.to_string()), HashMap::new(), plan_context(facts)?)
            }
            Facts::Pay(facts) => (
                &facts.actor,
                uid(&self.vendor, &format!("{}/{}", facts.host, facts.payee)),
                HashMap::from([
                    ("host".to_owned(), text(&facts.host)),
                    ("payee".to_owned(), text(&facts.payee)),
                ]),
                pay_context(facts)?,
            ),
            Facts::Call(facts) => (
                &facts.actor,
                uid(&self.tool, &facts.tool),
                HashMap::from([("name".to_owned(), text(&facts.tool))]),
                call_context(facts),
            ),
        };
        let principal = uid(&self.agent, &actor.agent);
        let entities = Entities::from_entities(
            [
                self.agent(principal.clone(), actor)?,
                Entity::new(resource.clone(), resource_attributes, HashSet::new()).map_err(refused)?,
            ],
            None,
        )
        .map_err(refused)?;
        let context = Context::from_pairs(context.0).map_err(refused)?;
        let action = self.action(Act::of(facts)).clone();
        let request = Request::new(principal, action, resource, context, None).map_err(refused)?;
        Ok(Question { request, entities })
    }

    fn agent(&self, id: EntityUid, actor: &Actor) -> Result<Entity, QuestionError> {
        let attributes = HashMap::from([
            ("user".to_owned(), RestrictedExpression::new_entity_uid(uid(&self.user, &actor.user))),
            ("project".to_owned(), RestrictedExpression::new_entity_uid(uid(&self.project, &actor.project))),
        ]);
        Entity::new(id, attributes, HashSet::from([uid(&self.role, &actor.role)])).map_err(refused)
    }
}

fn refused(error: impl Error + Send + Sync + 'static) -> QuestionError {
    QuestionError::Cedar(Box::new(error))
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

/// The fields of a request's context, named as in the schema.
struct Fields(Vec<(String, RestrictedExpression)>);

impl Fields {
    fn new() -> Self {
        Self(Vec::with_capacity(40))
    }

    fn text(self, name: &'static str, value: &str) -> Self {
        self.with(name, text(value))
    }

    fn flag(self, name: &'static str, value: bool) -> Self {
        self.with(name, RestrictedExpression::new_bool(value))
    }

    fn number(self, name: &'static str, value: impl TryInto<i64>) -> Result<Self, QuestionError> {
        let value = value.try_into().map_err(|_| QuestionError::NumberTooLarge { field: name })?;
        Ok(self.with(name, RestrictedExpression::new_long(value)))
    }

    /// A fact that rules test for with `has`.
    fn known(self, name: &'static str, value: Option<u128>) -> Result<Self, QuestionError> {
        match value {
            Some(value) => self.number(name, value),
            None => Ok(self),
        }
    }

    fn texts(self, name: &'static str, values: &[String]) -> Self {
        self.with(name, RestrictedExpression::new_set(values.iter().map(|value| text(value))))
    }

    fn sums(self, sums: &Sums) -> Result<Self, QuestionError> {
        let Sums { session_micro_usd, vendor_day_micro_usd, family_day_micro_usd } = sums;
        self.number("session_micro_usd", *session_micro_usd)?
            .number("vendor_day_micro_usd", *vendor_day_micro_usd)?
            .number("family_day_micro_usd", *family_day_micro_usd)
    }

    fn thresholds(self, thresholds: &Thresholds) -> Result<Self, QuestionError> {
        let Thresholds { payment_max_micro_usd, review_above_micro_usd } = thresholds;
        self.known("payment_max_micro_usd", *payment_max_micro_usd)?
            .known("review_above_micro_usd", *review_above_micro_usd)
    }

    fn with(mut self, name: &'static str, value: RestrictedExpression) -> Self {
        self.0.push((name.to_owned(), value));
        self
    }
}

fn quote_context(facts: &QuoteFacts) -> Fields {
    let QuoteFacts {
        actor: _,
        host,
        method,
        secure,
        local,
        has_body,
        vendor_listed,
        vendor_approved,
        first_time_vendor,
        category,
        data,
        gate,
        phase,
    } = facts;
    Fields::new()
        .text("host", host)
        .text("method", method)
        .flag("secure", *secure)
        .flag("local", *local)
        .flag("has_body", *has_body)
        .flag("vendor_listed", *vendor_listed)
        .flag("vendor_approved", *vendor_approved)
        .flag("first_time_vendor", *first_time_vendor)
        .text("category", category)
        .text("data", data.as_str())
        .flag("client_data", data.may_be_client())
        .text("gate", gate.as_str())
        .text("phase", phase.as_str())
}

fn plan_context(facts: &PlanFacts) -> Result<Fields, QuestionError> {
    let PlanFacts {
        actor: _,
        plan,
        total_micro_usd,
        items,
        hosts,
        categories,
        rails,
        networks,
        vendors_listed,
        vendors_approved,
        first_time_vendor,
        client_data,
        recurring,
        item_max_micro_usd,
        sums,
        thresholds,
        gate,
        assets_listed,
        live,
        live_enabled,
        approval,
        ask_above_micro_usd,
        budget_basis_points,
    } = facts;
    Fields::new()
        .text("plan", &plan.to_string())
        .number("total_micro_usd", *total_micro_usd)?
        .number("items", *items)?
        .texts("hosts", hosts)
        .texts("categories", categories)
        .texts("rails", rails)
        .texts("networks", networks)
        .flag("vendors_listed", *vendors_listed)
        .flag("vendors_approved", *vendors_approved)
        .flag("first_time_vendor", *first_time_vendor)
        .flag("client_data", *client_data)
        .flag("recurring", *recurring)
        .number("item_max_micro_usd", *item_max_micro_usd)?
        .sums(sums)?
        .thresholds(thresholds)?
        .text("gate", gate.as_str())
        .flag("assets_listed", *assets_listed)
        .flag("live", *live)
        .flag("live_enabled", *live_enabled)
        .text("approval", approval)
        .known("ask_above_micro_usd", *ask_above_micro_usd)?
        .number("budget_basis_points", *budget_basis_points)
}

fn pay_context(facts: &PayFacts) -> Result<Fields, QuestionError> {
    let PayFacts {
        actor: _,
        host,
        payee,
        resource,
        method,
        rail,
        flow,
        network,
        asset,
        micro_usd,
        phase,
        covered,
        secure,
        vendor_listed,
        vendor_approved,
        category,
        data,
        recurring,
        recurring_approved,
        client_data_approved,
        approval,
        sums,
        thresholds,
        gate,
        asset_listed,
        first_time_vendor,
        vendor_unknown_open,
        live,
        live_enabled,
        upfront_allowed,
        mandate_expired,
        budget_basis_points,
    } = facts;
    Fields::new()
        .text("host", host)
        .text("payee", payee)
        .text("resource", resource)
        .text("method", method)
        .text("rail", rail)
        .text("flow", flow)
        .text("network", network)
        .text("asset", asset)
        .number("micro_usd", *micro_usd)?
        .text("phase", phase.as_str())
        .flag("covered", *covered)
        .flag("secure", *secure)
        .flag("vendor_listed", *vendor_listed)
        .flag("vendor_approved", *vendor_approved)
        .text("category", category)
        .text("data", data.as_str())
        .flag("client_data", data.may_be_client())
        .flag("recurring", *recurring)
        .flag("recurring_approved", *recurring_approved)
        .flag("client_data_approved", *client_data_approved)
        .text("approval", approval.as_str())
        .sums(sums)?
        .thresholds(thresholds)?
        .text("gate", gate.as_str())
        .flag("asset_listed", *asset_listed)
        .flag("first_time_vendor", *first_time_vendor)
        .flag("vendor_unknown_open", *vendor_unknown_open)
        .flag("live", *live)
        .flag("live_enabled", *live_enabled)
        .flag("upfront_allowed", *upfront_allowed)
        .flag("mandate_expired", *mandate_expired)
        .number("budget_basis_points", *budget_basis_points)
}

fn call_context(facts: &CallFacts) -> Fields {
    let CallFacts { actor: _, tool, effect, phase, arguments } = facts;
    let effect = match effect {
        Effect::Read => "read",
        Effect::Write => "write",
        Effect::Spend => "spend",
    };
    Fields::new()
        .text("tool", tool)
        .text("effect", effect)
        .text("phase", phase.as_str())
        .text("arguments", &arguments.to_string())
}
