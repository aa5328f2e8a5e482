"""Handlers of a celery-salt service: by class, which need a version, and by topic; and a server of RPCs."""

from celery_salt import RPCError, SaltEvent, subscribe
from contracts import GetRiskAssessment, OrderCreated, TaggedItemCreated
from peer import EXCHANGE, hear, say
from pydantic import BaseModel


@subscribe(TaggedItemCreated)
def tagged(event):
    say(handler="class", fields=event.payload)


@subscribe("scranton.tagged_item.created")
def tagged_by_topic(data):
    say(handler="topic", fields=data.model_dump())


@subscribe(OrderCreated)
def ordered(event):
    say(handler="class", order_id=event.order_id, timestamp=event.timestamp, amount=str(event.amount))


class InformationV2(SaltEvent):
    """A version that is newer than what Rust's callers ask for."""

    class Schema(BaseModel):
        identifier: str

    class Meta:
        topic = "rpc.pulse.risk.information"
        mode = "rpc"
        version = "v2"
        exchange_name = EXCHANGE


@subscribe(InformationV2)
def inform(request):
    say(handler="inform")


@subscribe(GetRiskAssessment)
def get(request):
    asked = request.assessment_id
    say(handler="get", asked=asked)
    match asked:
        case "declined":
            raise RPCError(error_code="NOT_FOUND", error_message="no such assessment", details={"asked": asked})
        case "fails":
            raise ValueError("the database is away")
        case "incomplete":
            return {"assessment_id": asked}
        case "list":
            return [1, 2]
        case "none":
            return None
        case "text":
            return "as it is"
        case "not-a-number":
            return {"assessment_id": asked, "risk_score": float("nan"), "status": "open"}
        case "holds":
            hear()
    return request.respond(assessment_id=asked, risk_score=8.5, status="naïve \U0001f600")
