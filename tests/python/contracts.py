"""The reference contracts as a celery-salt service writes them."""

import datetime
import decimal
from typing import Any

from celery_salt import SaltEvent
from peer import EXCHANGE
from pydantic import BaseModel


class TaggedItemCreated(SaltEvent):
    class Schema(BaseModel):
        company_id: int
        identifier: str
        model_identifier: str
        object_json: dict[str, Any]
        tag_name: str
        tag_slug: str
        action: str = "created"
        value_chain_id: int | None = None

    class Meta:
        topic = "scranton.tagged_item.created"
        exchange_name = EXCHANGE


class OrderCreated(SaltEvent):
    class Schema(BaseModel):
        order_id: str
        company_id: int
        timestamp: datetime.datetime
        amount: decimal.Decimal

    class Meta:
        topic = "orders.created"
        exchange_name = EXCHANGE


class GetRiskAssessment(SaltEvent):
    class Schema(BaseModel):
        assessment_id: str

    class Response(BaseModel):
        assessment_id: str
        risk_score: float
        status: str

    class Error(BaseModel):
        error_code: str
        error_message: str
        details: dict[str, Any] | None = None

    class Meta:
        topic = "rpc.pulse.risk.get"
        mode = "rpc"
        exchange_name = EXCHANGE
